//! What a fetch reads: addresses, filters, and how elements are read.

use super::{Addressing, Channel, Sampler, Texture};
use crate::vm::half::Half;
use crate::vm::lane::F16;

/// Steps between two elements in which a filter weighs them (CUDA C++ Programming Guide, "Linear Filtering": 8 bits of
/// fraction).
const STEPS: f32 = 256.0;

/// Coordinates beyond this are as far outside as can be.
const FAR: f32 = (1u32 << 30) as f32;

/// Is told of each element that is read, by its place in bytes.
pub(crate) type Note<'a> = &'a mut dyn FnMut(u64);

/// Two elements side by side, and the weight of the second.
#[derive(Clone, Copy)]
struct Between {
    places: [Option<u32>; 2],
    weight: f64,
}

impl Channel {
    fn is_signed(self) -> bool {
        matches!(self, Self::S8 | Self::S16 | Self::S32)
    }

    /// The component as a 32-bit register has it. `normalised`: whole numbers of up to 16 bits become floats from 0,
    /// or -1, to 1.
    fn read(self, bits: u32, normalised: bool) -> u32 {
        let signed = |value: i32, most: f32| (value as f32 / most).max(-1.0).to_bits();
        match (self, normalised) {
            (Self::U8, true) => (bits as f32 / 255.0).to_bits(),
            (Self::U16, true) => (bits as f32 / 65535.0).to_bits(),
            (Self::S8, true) => signed(i32::from(bits as i8), 127.0),
            (Self::S16, true) => signed(i32::from(bits as i16), 32767.0),
            (Self::S8, false) => i32::from(bits as i8) as u32,
            (Self::S16, false) => i32::from(bits as i16) as u32,
            (Self::F16, _) => (F16(bits as u16).value() as f32).to_bits(),
            (Self::U8 | Self::U16 | Self::U32 | Self::S32 | Self::F32, _) => bits,
        }
    }
}

impl Addressing {
    /// The element for the place `at` of `count`; none: the border's colour.
    fn place(self, at: i64, count: u32) -> Option<u32> {
        let count = i64::from(count);
        let found = match self {
            Self::Wrap => at.rem_euclid(count),
            Self::Clamp => at.clamp(0, count - 1),
            Self::Mirror => {
                let at = at.rem_euclid(2 * count);
                if at < count { at } else { 2 * count - 1 - at }
            }
            Self::Border => return u32::try_from(at).ok().filter(|&at| i64::from(at) < count),
        };
        Some(found as u32)
    }
}

impl Texture {
    /// Whether a fetch gives floats.
    fn gives_floats(&self, sampler: &Sampler) -> bool {
        !self.channel.is_integer() || sampler.as_float && self.channel.size() < 4
    }

    /// An element as four registers. What it lacks is 0, and 1 for the fourth.
    fn element_at(&self, sampler: &Sampler, place: [u32; 3], note: Note<'_>) -> [u32; 4] {
        let floats = self.gives_floats(sampler);
        let one = if floats { 1f32.to_bits() } else { 1 };
        let mut found = [0, 0, 0, one];
        let size = self.channel.size();
        let offset = self.offset(place);
        note(offset);
        for (n, component) in found.iter_mut().enumerate().take(self.channels as usize) {
            let mut bytes = [0u8; 4];
            // SAFETY: the place lies within the extents, and the owner of the memory keeps it for the launch.
            unsafe {
                let from = self.host.add(offset as usize + n * size as usize);
                std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), size as usize);
            }
            *component = self.channel.read(u32::from_le_bytes(bytes), floats);
        }
        found
    }

    /// An element, or the border's colour.
    fn colour(&self, sampler: &Sampler, places: [Option<u32>; 3], note: Note<'_>) -> [u32; 4] {
        match places {
            [Some(x), Some(y), Some(z)] => self.element_at(sampler, [x, y, z], note),
            // M (H200): the border's colour is one that the format can have.
            _ if self.gives_floats(sampler) => {
                let least = if self.channel.is_signed() { -1.0 } else { 0.0 };
                let fit = |value: f32| if self.channel.is_integer() { value.clamp(least, 1.0) } else { value };
                sampler.border.map(|value| fit(value).to_bits())
            }
            _ => sampler.border.map(|value| if self.channel.is_signed() { value as i32 as u32 } else { value as u32 }),
        }
    }

    /// How the coordinates of a dimension are addressed: to repeat needs normalised ones.
    fn addressing(sampler: &Sampler, dimension: usize) -> Addressing {
        match sampler.addressing[dimension] {
            Addressing::Wrap | Addressing::Mirror if !sampler.normalised => Addressing::Clamp,
            mode => mode,
        }
    }

    /// A coordinate in elements.
    fn scaled(sampler: &Sampler, dimension: usize, coordinate: f32, count: u32) -> f32 {
        let coordinate = if coordinate.is_nan() { 0.0 } else { coordinate };
        if !sampler.normalised {
            return coordinate.clamp(-FAR, FAR);
        }
        let within = match sampler.addressing[dimension] {
            Addressing::Wrap => coordinate - coordinate.floor(),
            Addressing::Mirror => {
                let floor = coordinate.floor();
                let fraction = coordinate - floor;
                if floor.rem_euclid(2.0) == 0.0 { fraction } else { 1.0 - fraction }
            }
            Addressing::Clamp | Addressing::Border => coordinate,
        };
        let within = if within.is_nan() { 0.0 } else { within };
        (within * count as f32).clamp(-FAR, FAR)
    }

    fn between(&self, sampler: &Sampler, dimension: usize, coordinate: f32) -> Between {
        let count = self.full()[dimension];
        let mode = Self::addressing(sampler, dimension);
        let steps = ((Self::scaled(sampler, dimension, coordinate, count) - 0.5) * STEPS).round_ties_even() as i64;
        let first = steps.div_euclid(STEPS as i64);
        let places = [mode.place(first, count), mode.place(first + 1, count)];
        Between { places, weight: steps.rem_euclid(STEPS as i64) as f64 / f64::from(STEPS) }
    }

    /// `tex` with whole coordinates, which are elements'.
    pub(crate) fn fetch(&self, sampler: &Sampler, at: [i32; 3], layer: u32, note: Note<'_>) -> [u32; 4] {
        let dimensions = self.dimensions();
        let full = self.full();
        let places = std::array::from_fn(|n| match n {
            n if n < dimensions => Self::addressing(sampler, n).place(at[n].into(), full[n]),
            2 => Some(self.layer(layer)),
            _ => Some(0),
        });
        if self.linear && u32::try_from(at[0]).map_or(true, |x| x >= full[0]) {
            return [0; 4];
        }
        self.colour(sampler, places, note)
    }

    /// `tex` with coordinates between elements.
    pub(crate) fn sample(&self, sampler: &Sampler, at: [f32; 3], layer: u32, note: Note<'_>) -> [u32; 4] {
        let dimensions = self.dimensions();
        let layer = self.layer(layer);
        if !sampler.linear || !self.gives_floats(sampler) {
            let full = self.full();
            let places = std::array::from_fn(|n| match n {
                n if n < dimensions => {
                    let place = Self::scaled(sampler, n, at[n], full[n]).floor() as i64;
                    Self::addressing(sampler, n).place(place, full[n])
                }
                2 => Some(layer),
                _ => Some(0),
            });
            return self.colour(sampler, places, note);
        }
        let between: [Between; 3] = std::array::from_fn(|n| match n {
            n if n < dimensions => self.between(sampler, n, at[n]),
            2 => Between { places: [Some(layer); 2], weight: 0.0 },
            _ => Between { places: [Some(0); 2], weight: 0.0 },
        });
        let mut sum = [0f64; 4];
        for corner in 0..1usize << dimensions {
            let chosen = |n: usize| corner >> n & 1;
            let weight: f64 = (0..dimensions)
                .map(|n| if chosen(n) == 1 { between[n].weight } else { 1.0 - between[n].weight })
                .product();
            if weight != 0.0 {
                let colour = self.colour(sampler, std::array::from_fn(|n| between[n].places[chosen(n)]), note);
                for (sum, value) in sum.iter_mut().zip(colour) {
                    *sum += weight * f64::from(f32::from_bits(value));
                }
            }
        }
        sum.map(|value| (value as f32).to_bits())
    }

    /// `tld4`: one component of the four elements that a linear filter would weigh.
    pub(crate) fn gather(
        &self,
        sampler: &Sampler,
        at: [f32; 2],
        layer: u32,
        component: usize,
        note: Note<'_>,
    ) -> [u32; 4] {
        let [x, y] = [0, 1].map(|n| self.between(sampler, n, at[n]));
        let layer = Some(self.layer(layer));
        [(0, 1), (1, 1), (1, 0), (0, 0)]
            .map(|(i, j)| self.colour(sampler, [x.places[i], y.places[j], layer], note)[component & 3])
    }
}
