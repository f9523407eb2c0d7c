//! Unpacking, bounded: a payload of a few bytes may claim, or hold, more than any memory.

use std::io::Read;

use crate::{ImageError, LARGEST};

/// LZ4 packs at most this many bytes into one.
const LZ4_RATIO: u64 = 255;

fn broken(text: String) -> ImageError {
    ImageError::Broken(text)
}

/// Unpacks an LZ4 block of exactly `size` bytes.
pub(crate) fn lz4(packed: &[u8], size: u64) -> Result<Vec<u8>, ImageError> {
    if size > LARGEST || size > (packed.len() as u64).saturating_mul(LZ4_RATIO) {
        return Err(broken(format!("{} bytes of LZ4 claim to hold {size}, more than they can", packed.len())));
    }
    let mut bytes = vec![0; size as usize];
    match lz4_flex::block::decompress_into(packed, &mut bytes) {
        Ok(written) if written as u64 == size => Ok(bytes),
        Ok(written) => Err(broken(format!("its LZ4 payload holds {written} bytes, and {size} are claimed"))),
        Err(error) => Err(broken(format!("its LZ4 payload cannot be unpacked: {error}"))),
    }
}

/// Unpacks a zstd frame of exactly `size` bytes. No more than that is ever held.
pub(crate) fn zstd(packed: &[u8], size: u64) -> Result<Vec<u8>, ImageError> {
    if size > LARGEST {
        return Err(broken(format!("its zstd payload claims {size} bytes; at most {LARGEST} are unpacked")));
    }
    let unreadable = |error: String| broken(format!("its zstd payload cannot be unpacked: {error}"));
    let decoder = ruzstd::decoding::StreamingDecoder::new(packed).map_err(|error| unreadable(error.to_string()))?;
    let mut bytes = Vec::new();
    decoder.take(size + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    match bytes.len() as u64 == size {
        true => Ok(bytes),
        false if bytes.len() as u64 > size => {
            Err(broken(format!("its zstd payload holds more than the {size} bytes claimed")))
        }
        false => Err(broken(format!("its zstd payload holds {} bytes, and {size} are claimed", bytes.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_beyond_what_lz4_can_hold_is_refused_before_memory_is_asked_for() {
        let error = lz4(&[0; 100], LARGEST).unwrap_err();
        assert!(error.to_string().contains("more than they can"), "{error}");
    }

    #[test]
    fn a_payload_that_holds_more_than_it_claims_is_cut_off() {
        let bomb = zstd_of_zeros(1 << 26);
        assert!(bomb.len() < 1 << 16);
        let error = zstd(&bomb, 1000).unwrap_err();
        assert!(error.to_string().contains("more than the 1000 bytes"), "{error}");
        assert_eq!(zstd(&bomb, 1 << 26).unwrap().len(), 1 << 26);
    }

    /// A frame of run-length blocks: 4 bytes for each 128 KiB of zeros.
    fn zstd_of_zeros(size: usize) -> Vec<u8> {
        const BLOCK: usize = 1 << 17;
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
        let blocks = size / BLOCK;
        for n in 0..blocks {
            let header = (BLOCK as u32) << 3 | 1 << 1 | u32::from(n + 1 == blocks);
            frame.extend_from_slice(&header.to_le_bytes()[..3]);
            frame.push(0);
        }
        frame
    }
}
