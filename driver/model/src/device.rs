//! The devices: how many there are, their name, limits and attributes.
//!
//! There is one, or as many as `GRAPHPROOF_DEVICES` says; all are alike, and each can access the memory of
//! each. Their compute capability is 8.0, or what `GRAPHPROOF_COMPUTE_CAPABILITY` says, 8.0 or 9.0: PTX for that
//! architecture and older ones is legal and nothing newer is promised. The limits are those of the
//! capability; the number of multiprocessors is this device's own.

use super::{driver, setting, version};
use graphproof_api::{CUresult, Cuda};
use graphproof_exec::CLOCK_KHZ;

/// `cuDeviceGetName`.
pub const NAME: &str = "graphproof software device";
/// What sets the number of devices.
const DEVICES: &str = "GRAPHPROOF_DEVICES";
/// As many devices as there may be.
pub const MOST_DEVICES: i32 = 16;
/// What sets the compute capability.
const SETTING: &str = "GRAPHPROOF_COMPUTE_CAPABILITY";

/// A compute capability, and what depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capability {
    /// Major and minor number.
    pub version: (i32, i32),
    /// Shared memory of a multiprocessor, in bytes.
    pub shared_per_multiprocessor: u32,
    /// Shared memory that a block may use after asking, in bytes.
    pub shared_per_block_optin: u32,
    /// Blocks of a cluster at most; 0: no clusters, no tensor maps.
    pub cluster: u32,
}

const CAPABILITIES: [Capability; 2] = [
    Capability { version: (8, 0), shared_per_multiprocessor: 164 << 10, shared_per_block_optin: 163 << 10, cluster: 0 },
    Capability {
        version: (9, 0),
        shared_per_multiprocessor: 228 << 10,
        shared_per_block_optin: 227 << 10,
        cluster: 16,
    },
];

impl Capability {
    /// The capability that `text` names, such as `9.0`.
    fn from_text(text: &str) -> Result<Self, String> {
        let named = |c: &&Capability| format!("{}.{}", c.version.0, c.version.1) == text.trim();
        CAPABILITIES.iter().find(named).copied().ok_or_else(|| {
            format!("{SETTING}={text}: the software device has compute capability 8.0 or 9.0; set one of them")
        })
    }

    /// As in `sm_90`.
    pub fn number(&self) -> i32 {
        self.version.0 * 10 + self.version.1
    }
}

/// What the driver was asked for.
fn asked() -> &'static Result<Capability, String> {
    let driver = driver();
    let read = || setting(SETTING).map_or(Ok(CAPABILITIES[0]), |text| Capability::from_text(&text));
    driver.capability.get_or_init(read)
}

/// The device's compute capability, with what depends on it.
pub fn capability() -> Capability {
    asked().as_ref().map_or(CAPABILITIES[0], |found| *found)
}

/// The number of devices that `text` names.
fn count_from_text(text: &str) -> Result<i32, String> {
    let parsed = text.trim().parse().ok().filter(|count| (1..=MOST_DEVICES).contains(count));
    parsed.ok_or_else(|| {
        format!("{DEVICES}={text}: there can be 1 to {MOST_DEVICES} software devices; set such a number")
    })
}

fn asked_devices() -> &'static Result<i32, String> {
    let driver = driver();
    driver.devices.get_or_init(|| driver.settings.get(DEVICES).map_or(Ok(1), |text| count_from_text(&text)))
}

/// `cuDeviceGetCount`.
pub fn count() -> i32 {
    asked_devices().as_ref().map_or(1, |count| *count)
}

/// What is wrong with the driver's settings.
pub fn refusal() -> Option<&'static str> {
    let own = asked().as_ref().err().or(asked_devices().as_ref().err()).map(String::as_str);
    own.or_else(version::refusal)
}

/// `cuDeviceGetUuid`.
pub fn uuid(device: i32) -> [u8; 16] {
    let mut uuid = *b"graphproof-sw-00";
    uuid[14] += device as u8 / 10;
    uuid[15] += device as u8 % 10;
    uuid
}

/// `cuDeviceGetPCIBusId`.
pub fn bus_id(device: i32) -> String {
    format!("0000:{device:02X}:00.0")
}

/// `cuDeviceCanAccessPeer`: each device can access the memory of each other one. A device is not its own
/// peer.
pub fn is_peer(device: i32, other: i32) -> bool {
    device != other
}

/// `cuDeviceGetP2PAttribute` of two different devices.
///
/// # Errors
/// `CUDA_ERROR_INVALID_VALUE`: no such attribute.
pub fn p2p_attribute(attribute: u32) -> Cuda<i32> {
    match attribute {
        // All connections are of the best rank.
        1 => Ok(0),
        // Access, native atomics, access to arrays.
        2..=4 => Ok(1),
        // Only some native atomics.
        5 => Ok(0),
        _ => Err(CUresult::INVALID_VALUE),
    }
}

/// Multiprocessors.
pub const MULTIPROCESSORS: i32 = 16;
/// Threads of a warp.
pub const WARP: u32 = 32;
/// Threads of a block.
pub const MAX_THREADS_PER_BLOCK: u32 = 1024;
/// Threads of a block in each dimension.
pub const MAX_BLOCK: [u32; 3] = [1024, 1024, 64];
/// Blocks of a grid in each dimension.
pub const MAX_GRID: [u32; 3] = [0x7fff_ffff, 65535, 65535];
/// Threads resident on a multiprocessor.
pub const THREADS_PER_MULTIPROCESSOR: u32 = 2048;
/// Blocks resident on a multiprocessor.
pub const BLOCKS_PER_MULTIPROCESSOR: u32 = 32;
/// 32-bit registers of a multiprocessor, and of a block.
pub const REGISTERS: u32 = 65536;
/// Shared memory that a block may use without asking, in bytes.
pub const SHARED_PER_BLOCK: u32 = 48 << 10;
/// Blocks of a cluster that every device with clusters can run.
pub const PORTABLE_CLUSTER: u32 = 8;
/// Shared memory that the system takes from each block, in bytes.
pub const SHARED_RESERVED: u32 = 1 << 10;
/// Longest distance of rows in a copy, in bytes.
pub const MAX_PITCH: i32 = 0x7fff_ffff;
/// Unit of `cuMemAllocPitch` rows, in bytes.
pub const PITCH_UNIT: usize = 512;
/// The largest extents of textures and surfaces, by device attribute (CUDA C++ Programming Guide, table of technical
/// specifications; the pitch as NVIDIA's driver answers it). Of what has no model, cube maps and mipmaps, no width is
/// legal.
pub fn extent(attribute: u32) -> i32 {
    match attribute {
        // One dimension; a surface's.
        21 => 131_072,
        55 => 32_768,
        // Two; a surface's.
        22 | 56 => 131_072,
        23 | 57 => 65_536,
        // Three; taller ones; a surface's.
        24..=26 | 58..=60 => 16_384,
        47 | 48 => 8_192,
        49 => 32_768,
        // Layered: in one and two dimensions, and surfaces of both.
        27 | 28 | 42 | 61 | 63 | 64 => 32_768,
        29 | 43 | 62 | 65 => 2_048,
        // Gathered.
        45 | 46 => 32_768,
        // Linear memory: elements, and rows with their distance in bytes.
        69 => 1 << 28,
        70 => 131_072,
        71 => 65_000,
        72 => 2_097_120,
        _ => 0,
    }
}

/// `cuDeviceGetAttribute`.
pub fn attribute(attribute: u32, device: i32) -> Cuda<i32> {
    const GREATEST: u32 = 161;
    Ok(match attribute {
        1 => MAX_THREADS_PER_BLOCK as i32,
        2..=4 => MAX_BLOCK[attribute as usize - 2] as i32,
        5..=7 => MAX_GRID[attribute as usize - 5] as i32,
        8 => SHARED_PER_BLOCK as i32,
        9 => 64 << 10,
        10 => WARP as i32,
        11 => MAX_PITCH,
        12 | 82 => REGISTERS as i32,
        // kHz; only ratios of it mean anything here.
        13 => CLOCK_KHZ as i32,
        14 => PITCH_UNIT as i32,
        // One copy can overlap execution; kernels overlap each other.
        15 | 31 => 1,
        16 => MULTIPROCESSORS,
        19 => 1,
        21..=29 | 42 | 43 | 45..=49 | 52..=74 | 77 => extent(attribute),
        30 => PITCH_UNIT as i32,
        // PCI bus, and the board, of which each device has one of its own.
        33 | 85 => device,
        36 => 1_000_000,
        37 => 5120,
        38 => 32 << 20,
        39 => THREADS_PER_MULTIPROCESSOR as i32,
        40 => 2,
        41 => 1,
        51 => 32,
        75 => capability().version.0,
        76 => capability().version.1,
        78..=80 => 1,
        81 => capability().shared_per_multiprocessor as i32,
        // Managed memory, from host and device at once.
        83 | 89 => 1,
        87 => 2,
        91 | 99 => 1,
        // Stream memory operations of both generations.
        92..=94 | 122 | 123 => 1,
        95 => 1,
        97 => capability().shared_per_block_optin as i32,
        // Virtual memory management.
        102 => 1,
        106 => BLOCKS_PER_MULTIPROCESSOR as i32,
        111 => SHARED_RESERVED as i32,
        115 => 1,
        // Clusters, tensor maps.
        120 | 127 => i32::from(capability().cluster > 0),
        126 => 1,
        // No NUMA node of its own.
        131 | 134 => -1,
        149 => 1,
        157 => MULTIPROCESSORS,
        // Everything else is a feature that is absent, or an identity that is zero.
        _ if (1..=GREATEST).contains(&attribute) => 0,
        _ => return Err(CUresult::INVALID_VALUE),
    })
}

/// Resident blocks of a kernel on one multiprocessor.
pub fn resident_blocks(registers: u32, static_shared: u32, block: u32, dynamic_shared: u64) -> u32 {
    if block == 0 || block > MAX_THREADS_PER_BLOCK {
        return 0;
    }
    let warps = block.div_ceil(WARP);
    let by_threads = THREADS_PER_MULTIPROCESSOR / WARP / warps;
    // Registers are given out to warps, 256 at a time.
    let by_registers = match (registers.max(1) * WARP).div_ceil(256) * 256 * warps {
        0 => BLOCKS_PER_MULTIPROCESSOR,
        needed => REGISTERS / needed,
    };
    let shared = u64::from(static_shared) + dynamic_shared;
    let Capability { shared_per_block_optin, shared_per_multiprocessor, .. } = capability();
    if shared > u64::from(shared_per_block_optin) {
        return 0;
    }
    let needed = (shared.div_ceil(128) * 128) as u32 + SHARED_RESERVED;
    let by_shared = shared_per_multiprocessor / needed;
    by_threads.min(by_registers).min(by_shared).min(BLOCKS_PER_MULTIPROCESSOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residency_is_limited_by_the_scarcest_resource() {
        assert_eq!(resident_blocks(32, 0, 1024, 0), 2);
        assert_eq!(resident_blocks(32, 0, 32, 0), 32);
        assert_eq!(resident_blocks(255, 0, 1024, 0), 0);
        assert_eq!(resident_blocks(32, 0, 128, 100 << 10), 1);
        assert_eq!(resident_blocks(32, 0, 128, 200 << 10), 0);
        assert_eq!(resident_blocks(32, 0, 0, 0), 0);
    }

    #[test]
    fn unknown_attributes_are_refused() {
        assert_eq!(attribute(0, 0), Err(CUresult::INVALID_VALUE));
        assert_eq!(attribute(4096, 0), Err(CUresult::INVALID_VALUE));
        assert_eq!(attribute(75, 0), Ok(8));
    }

    #[test]
    fn the_number_of_devices_is_bounded() {
        assert_eq!(count_from_text(" 2 "), Ok(2));
        for wrong in ["0", "17", "-1", "two"] {
            let text = count_from_text(wrong).unwrap_err();
            assert!(text.contains(wrong) && text.contains("1 to 16"), "{text}");
        }
        assert_eq!((uuid(0), uuid(12)), (*b"graphproof-sw-00", *b"graphproof-sw-12"));
        assert_eq!(bus_id(10), "0000:0A:00.0");
    }

    #[test]
    fn a_capability_is_named_by_its_number() {
        assert_eq!(Capability::from_text("8.0").map(|c| c.number()), Ok(80));
        assert_eq!(Capability::from_text(" 9.0").map(|c| (c.number(), c.shared_per_block_optin)), Ok((90, 227 << 10)));
        for wrong in ["9", "sm_90", "9.1", "10.0", "8,0"] {
            let text = Capability::from_text(wrong).unwrap_err();
            assert!(text.contains(wrong) && text.contains("8.0 or 9.0"), "{text}");
        }
    }
}
