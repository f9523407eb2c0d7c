//! Handle tables: opaque numbers to objects, checked by kind and generation.
//!
//! A handle is `kind << 56 | generation << 32 | index << 4`: never the address of anything, never
//! one of CUDA's small special values, and a destroyed handle is not mistaken for the object that
//! took its place.

/// What a handle stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Kind {
    Context = 0x11,
    Stream = 0x12,
    Event = 0x13,
    Module = 0x14,
    Function = 0x15,
    Library = 0x16,
    Kernel = 0x17,
    Pool = 0x18,
    GreenContext = 0x19,
    Array = 0x1a,
    PhysicalMemory = 0x1b,
    Texture = 0x1c,
    Surface = 0x1d,
    Link = 0x1e,
    Graph = 0x21,
    GraphNode = 0x22,
    GraphExec = 0x23,
    UserObject = 0x24,
    Conditional = 0x25,
}

const GENERATIONS: u32 = 1 << 24;

/// Objects of one kind.
#[derive(Debug)]
pub struct Handles<T> {
    kind: Kind,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Handles<T> {
    /// An empty table.
    pub const fn new(kind: Kind) -> Self {
        Self { kind, slots: Vec::new(), free: Vec::new() }
    }

    /// Adds the object that `make` builds from its own handle.
    pub fn insert_with(&mut self, make: impl FnOnce(u64) -> T) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 1, value: None });
            (self.slots.len() - 1) as u32
        });
        let handle = self.handle(index);
        self.slots[index as usize].value = Some(make(handle));
        handle
    }

    /// Adds an object.
    pub fn insert(&mut self, value: T) -> u64 {
        self.insert_with(|_| value)
    }

    /// The object of a handle; `None` for a foreign, null or destroyed one.
    pub fn get(&self, handle: u64) -> Option<&T> {
        self.slots[self.index(handle)?].value.as_ref()
    }

    /// As [`Handles::get`], to change it.
    pub fn get_mut(&mut self, handle: u64) -> Option<&mut T> {
        let index = self.index(handle)?;
        self.slots[index].value.as_mut()
    }

    /// Whether the handle once named an object of this table that is gone.
    pub fn was_destroyed(&self, handle: u64) -> bool {
        let (kind, generation, index) = split(handle);
        kind == self.kind as u8
            && handle & 0xf == 0
            && generation != 0
            && self.slots.get(index).is_some_and(|slot| generation < slot.generation)
    }

    /// Removes and returns the object.
    pub fn remove(&mut self, handle: u64) -> Option<T> {
        let index = self.index(handle)?;
        let slot = &mut self.slots[index];
        let value = slot.value.take()?;
        slot.generation += 1;
        // A slot whose generations are used up is retired rather than repeated.
        if slot.generation < GENERATIONS {
            self.free.push(index as u32);
        }
        Some(value)
    }

    /// All live objects with their handles, in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.slots
            .iter()
            .enumerate()
            .filter_map(|(index, slot)| slot.value.as_ref().map(|value| (self.handle(index as u32), value)))
    }

    /// Number of live objects.
    pub fn len(&self) -> usize {
        self.slots.iter().filter(|slot| slot.value.is_some()).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn handle(&self, index: u32) -> u64 {
        (self.kind as u64) << 56 | u64::from(self.slots[index as usize].generation) << 32 | u64::from(index) << 4
    }

    fn index(&self, handle: u64) -> Option<usize> {
        let (_, _, index) = split(handle);
        (index < self.slots.len() && self.handle(index as u32) == handle).then_some(index)
    }
}

fn split(handle: u64) -> (u8, u32, usize) {
    ((handle >> 56) as u8, (handle >> 32) as u32 & 0xff_ffff, (handle as u32 >> 4) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destroyed_handle_is_not_the_object_in_its_place() {
        let mut table = Handles::new(Kind::Stream);
        let first = table.insert('a');
        assert_eq!(table.remove(first), Some('a'));
        assert_eq!(table.remove(first), None);
        let second = table.insert('b');
        assert_ne!(first, second);
        assert_eq!(table.get(first), None);
        assert_eq!(table.get(second), Some(&'b'));
        assert!(table.was_destroyed(first));
        assert!(!table.was_destroyed(second));
    }

    #[test]
    fn foreign_numbers_are_refused() {
        let mut table = Handles::new(Kind::Event);
        let handle = table.insert(());
        for foreign in [0, 1, 2, handle + 1, handle ^ 1 << 56, u64::MAX, 0x7fff_dead_beef] {
            assert_eq!(table.get(foreign), None, "{foreign:#x}");
            assert!(!table.was_destroyed(foreign), "{foreign:#x}");
        }
    }
}
