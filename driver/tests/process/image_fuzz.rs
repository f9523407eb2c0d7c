//! 10,000 mutated images, loaded in child processes: each is loaded or refused, and none ends the process.
use std::ffi::CString;
use std::path::Path;
use std::process::Command;
use std::ptr::{null, null_mut};

use graphproof_driver::abi::types::*;
use graphproof_driver::abi::*;

const CHILD: &str = "IMAGE_FUZZ_CHILD";
const CHILDREN: u64 = 20;
const IMAGES: u64 = 500;
const NAMES: [&str; 6] = ["plain.fatbin", "lz4.fatbin", "zstd.fatbin", "newer.fatbin", "sm_80.cubin", "container"];

fn image(name: &str) -> Vec<u8> {
    if name == "container" {
        return graphproof_image::container::pack(".version 8.0\n.target sm_80\n.address_size 64\n", 80);
    }
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images").join(name)).expect("an image")
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// Bytes changed, sizes and counts exaggerated, pieces cut off, moved and doubled.
    fn mutate(&mut self, image: &mut Vec<u8>) {
        const CLAIMS: [u64; 8] = [0, 1, 0x7f, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, u64::MAX];
        for _ in 0..1 + self.below(4) {
            let at = self.below(image.len());
            // Most of what decides lies in the headers.
            let at = if self.below(2) == 0 { at % 160 } else { at };
            let at = at.min(image.len().saturating_sub(1));
            match self.below(6) {
                0 if !image.is_empty() => image[at] ^= 1 << self.below(8),
                1 if !image.is_empty() => image[at] = self.next() as u8,
                2 => {
                    let claim = CLAIMS[self.below(CLAIMS.len())].to_le_bytes();
                    let size = [2, 4, 8][self.below(3)];
                    let at = at & !1;
                    if let Some(place) = image.get_mut(at..at + size) {
                        place.copy_from_slice(&claim[..size]);
                    }
                }
                3 => image.truncate(at.max(8)),
                4 => {
                    let piece: Vec<u8> = image[at..(at + self.below(64)).min(image.len())].to_vec();
                    let to = self.below(image.len());
                    image.splice(to..to, piece);
                }
                _ => {
                    let end = (at + self.below(32)).min(image.len());
                    image.drain(at..end);
                }
            }
        }
    }
}

/// Hands an image to the linker, with its true length.
fn link(bytes: &[u8]) {
    let (mut state, mut image, mut size) = (null_mut(), null_mut(), 0);
    ok!(cuLinkCreate_v2(0, null(), null_mut(), &mut state));
    let (data, len) = (bytes.as_ptr().cast(), bytes.len());
    if code!(cuLinkAddData_v2(state, 0, data, len, null(), 0, null(), null_mut())) == CUresult::SUCCESS {
        code!(cuLinkComplete(state, &mut image, &mut size));
    }
    ok!(cuLinkDestroy(state));
}

#[test]
fn child() {
    let Ok(seed) = std::env::var(CHILD) else { return };
    let seed: u64 = seed.parse().expect("a seed");
    let _own = crate::abi_support::primary();
    let mut random = Random(seed);
    let (mut loaded, mut refused) = (0, 0);
    let path = std::env::temp_dir().join(format!("graphproof-fuzz-{}.image", std::process::id()));
    for n in 0..IMAGES {
        let mut bytes = image(NAMES[random.below(NAMES.len())]);
        random.mutate(&mut bytes);
        let mut module = CUmodule::NULL;
        let result = if n % 2 == 0 {
            // In memory, an image that is no binary any more is text, which ends with NUL.
            bytes.push(0);
            code!(cuModuleLoadData(&mut module, bytes.as_ptr().cast()))
        } else {
            std::fs::write(&path, &bytes).expect("written");
            let name = CString::new(path.to_str().expect("UTF-8")).expect("no NUL");
            code!(cuModuleLoad(&mut module, name.as_ptr()))
        };
        link(&bytes);
        let allowed = [
            CUresult::SUCCESS,
            CUresult::INVALID_IMAGE,
            CUresult::INVALID_PTX,
            CUresult::NO_BINARY_FOR_GPU,
            CUresult::NOT_SUPPORTED,
            CUresult::UNSUPPORTED_PTX_VERSION,
            CUresult::OUT_OF_MEMORY,
        ];
        assert!(allowed.contains(&result), "seed {seed}, image {n}: {result}");
        if result == CUresult::SUCCESS {
            loaded += 1;
            ok!(cuModuleUnload(module));
        } else {
            refused += 1;
        }
    }
    let _ = std::fs::remove_file(&path);
    println!("loaded {loaded} refused {refused}");
    assert!(loaded > 20 && refused > 20, "the images are all alike: {loaded} loaded, {refused} refused");
}

#[test]
fn mutated_images_never_end_the_process() {
    let seeds = std::sync::Mutex::new(0..CHILDREN);
    let work = || {
        while let Some(seed) = { seeds.lock().expect("not poisoned").next() } {
            let mut command = Command::new(std::env::current_exe().expect("this test"));
            command.args(["--exact", "image_fuzz::child", "--nocapture"]).env(CHILD, seed.to_string());
            command.env("GRAPHPROOF_NOTES", "off").env("GRAPHPROOF_OPAQUE_KERNELS", (seed % 2).to_string());
            let output = command.output().expect("a child");
            assert!(output.status.success(), "seed {seed}: {output:#?}");
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
}
