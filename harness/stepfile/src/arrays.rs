//! Arrays from `.npy` and `.safetensors` files.

use graphproof_harness::dtype::DType;
use safetensors::{Dtype, SafeTensors};

/// An array as it lies in a file: dense, row-major, little-endian.
#[derive(Debug, PartialEq)]
pub struct Array {
    pub shape: Vec<usize>,
    pub bytes: Vec<u8>,
}

/// Reads `tensor` of a `.safetensors` file, or a whole `.npy` one, as elements of `dtype`.
///
/// # Errors
/// Not such a file, no such tensor, or elements of another type.
pub fn read(name: &str, content: &[u8], tensor: Option<&str>, dtype: DType) -> Result<Array, String> {
    if name.ends_with(".safetensors") {
        return safetensors(name, content, tensor, dtype);
    }
    match tensor {
        None => npy(content, dtype).map_err(|why| format!("{name} {why}")),
        Some(_) => Err(format!("{name} is no .safetensors file: it has no tensors with names")),
    }
}

fn safetensors(name: &str, content: &[u8], tensor: Option<&str>, dtype: DType) -> Result<Array, String> {
    let file = SafeTensors::deserialize(content).map_err(|error| format!("{name} is no .safetensors file: {error}"))?;
    let names = file.names();
    let tensor = match (tensor, names.as_slice()) {
        (Some(tensor), _) => tensor,
        (None, [only]) => only,
        (None, _) => return Err(format!("{name} holds {} tensors: say tensor = \"NAME\"", names.len())),
    };
    let found = file.tensor(tensor).map_err(|_| {
        let near = graphproof_report::config::near(tensor, names.iter().copied());
        let near = near.map_or_else(String::new, |near| format!("; did you mean '{near}'?"));
        format!("{name} holds no tensor '{tensor}'{near}")
    })?;
    let fits = match found.dtype() {
        Dtype::F16 => dtype == DType::F16,
        Dtype::BF16 => dtype == DType::Bf16,
        Dtype::F32 => dtype == DType::F32,
        Dtype::F64 => dtype == DType::F64,
        Dtype::F8_E4M3 => dtype == DType::E4m3,
        Dtype::F8_E5M2 => dtype == DType::E5m2,
        Dtype::I8 => dtype == DType::I8,
        Dtype::I16 => dtype == DType::I16,
        Dtype::I32 => dtype == DType::I32,
        Dtype::I64 => dtype == DType::I64,
        Dtype::U8 => matches!(dtype, DType::U8 | DType::Bytes),
        Dtype::U16 => dtype == DType::U16,
        Dtype::U32 => dtype == DType::U32,
        Dtype::U64 => dtype == DType::U64,
        Dtype::BOOL => dtype == DType::Bool,
        _ => false,
    };
    if !fits {
        return Err(format!(
            "the tensor '{tensor}' of {name} is {:?}, and the buffer is {}",
            found.dtype(),
            dtype.name()
        ));
    }
    Ok(Array { shape: found.shape().to_vec(), bytes: found.data().to_vec() })
}

/// NEP 1: a magic word, a version, the length of a header, and the header as a dictionary of Python's.
fn npy(content: &[u8], dtype: DType) -> Result<Array, String> {
    let broken = || "is no .npy file".to_owned();
    let rest = content.strip_prefix(b"\x93NUMPY").ok_or_else(broken)?;
    let (&[major, _], rest) = rest.split_first_chunk::<2>().ok_or_else(broken)?;
    let (len, rest) = if major == 1 {
        let (len, rest) = rest.split_first_chunk::<2>().ok_or_else(broken)?;
        (u16::from_le_bytes(*len) as usize, rest)
    } else {
        let (len, rest) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
        (u32::from_le_bytes(*len) as usize, rest)
    };
    let (header, data) = rest.split_at_checked(len).ok_or_else(broken)?;
    let header = std::str::from_utf8(header).map_err(|_| broken())?;
    let after =
        |key: &str| header.split_once(&format!("'{key}':")).map(|(_, rest)| rest.trim_start()).ok_or_else(broken);
    let descr = after("descr")?.strip_prefix('\'').and_then(|rest| rest.split('\'').next());
    let descr = descr.ok_or("holds records, which no buffer does")?;
    if after("fortran_order")?.starts_with("True") {
        return Err("is in Fortran's order: save it with numpy.ascontiguousarray".to_owned());
    }
    let shape = after("shape")?.strip_prefix('(').and_then(|rest| rest.split(')').next()).ok_or_else(broken)?;
    let extents = shape.split(',').map(str::trim).filter(|extent| !extent.is_empty());
    let shape = extents.map(|extent| extent.parse().map_err(|_| broken())).collect::<Result<Vec<usize>, _>>()?;
    let (order, kind) = descr.split_at_checked(1).ok_or_else(broken)?;
    let kinds = match dtype {
        DType::F16 => &["f2"][..],
        // numpy has no types of these; ml_dtypes saves them as opaque bytes, and so does who views them as such.
        DType::Bf16 => &["V2", "u2"],
        DType::E4m3 | DType::E5m2 => &["V1", "u1"],
        DType::F32 => &["f4"],
        DType::F64 => &["f8"],
        DType::I8 => &["i1"],
        DType::I16 => &["i2"],
        DType::I32 => &["i4"],
        DType::I64 => &["i8"],
        DType::U8 => &["u1"],
        DType::U16 => &["u2"],
        DType::U32 => &["u4"],
        DType::U64 => &["u8"],
        DType::Bool => &["b1"],
        DType::Bytes => &["u1", "V1", "b1", "i1"],
    };
    if !kinds.contains(&kind) || order == ">" {
        return Err(format!("holds elements '{descr}', and the buffer is {}", dtype.name()));
    }
    let bytes = shape.iter().try_fold(dtype.size(), |bytes, extent| bytes.checked_mul(*extent));
    if bytes != Some(data.len()) {
        return Err(format!("has {} bytes of data, which is not what its shape {shape:?} needs", data.len()));
    }
    Ok(Array { shape, bytes: data.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut file = b"\x93NUMPY\x01\x00".to_vec();
        file.extend((header.len() as u16).to_le_bytes());
        file.extend(header.as_bytes());
        file.extend(data);
        file
    }

    #[test]
    fn an_npy_file_is_read_and_its_faults_are_told() {
        let header = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 1), }\n";
        let array = Array { shape: vec![2, 1], bytes: vec![1, 0, 2, 0] };
        assert_eq!(read("a.npy", &file(header, &[1, 0, 2, 0]), None, DType::I16), Ok(array));
        let error = |header: &str, dtype| read("a.npy", &file(header, &[1, 0, 2, 0]), None, dtype).unwrap_err();
        assert_eq!(error(header, DType::F16), "a.npy holds elements '<i2', and the buffer is f16");
        assert!(error(&header.replace("False", "True"), DType::I16).contains("ascontiguousarray"));
        assert!(error(&header.replace("2, 1", "3,"), DType::I16).contains("its shape [3]"));
        assert_eq!(
            error(&header.replace("<i2", ">i2"), DType::I16),
            "a.npy holds elements '>i2', and the buffer is i16"
        );
        for cut in 0..12 {
            let cut = &file(header, &[])[..cut];
            assert_eq!(read("a.npy", cut, None, DType::I16).unwrap_err(), "a.npy is no .npy file");
        }
    }

    #[test]
    fn a_tensor_is_read_by_its_name() {
        let header = r#"{"keys":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]},"q":{"dtype":"I32","shape":[1],"data_offsets":[4,8]}}"#;
        let mut content = (header.len() as u64).to_le_bytes().to_vec();
        content.extend(header.as_bytes());
        content.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        let read = |tensor, dtype| read("a.safetensors", &content, tensor, dtype);
        assert_eq!(read(Some("keys"), DType::Bf16), Ok(Array { shape: vec![2], bytes: vec![1, 2, 3, 4] }));
        assert!(read(Some("key"), DType::Bf16).unwrap_err().contains("did you mean 'keys'?"));
        assert!(read(Some("q"), DType::F32).unwrap_err().contains("is I32, and the buffer is f32"));
        assert!(read(None, DType::I32).unwrap_err().contains("holds 2 tensors"));
    }
}
