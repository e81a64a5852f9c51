use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

/// A number that stands for one item of a [`Table`].
pub(super) trait Id: Copy {
    fn new(number: usize) -> Self;
    fn number(self) -> usize;
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(super) struct $name(u32);

        impl $crate::solve::table::Id for $name {
            fn new(number: usize) -> Self {
                // Four thousand million packages or names don't fit in memory.
                Self(u32::try_from(number).unwrap_or(u32::MAX))
            }

            fn number(self) -> usize {
                self.0 as usize
            }
        }
    };
}
pub(super) use id;

/// A vector indexed by ids that only [`Table::push`], or another table of the same length, has handed out.
#[derive(Debug, Clone)]
pub(super) struct Table<I, T> {
    items: Vec<T>,
    ids: PhantomData<fn(I)>,
}

impl<I: Id, T> Table<I, T> {
    pub(super) fn new() -> Self {
        Self { items: Vec::new(), ids: PhantomData }
    }

    /// `count` items that all are as `item`.
    pub(super) fn filled(item: T, count: usize) -> Self
    where
        T: Clone,
    {
        Self { items: vec![item; count], ids: PhantomData }
    }

    pub(super) fn push(&mut self, item: T) -> I {
        self.items.push(item);
        I::new(self.items.len() - 1)
    }

    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = I> + use<I, T> {
        (0..self.items.len()).map(I::new)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (I, &T)> {
        self.items.iter().enumerate().map(|(number, item)| (I::new(number), item))
    }
}

#[allow(clippy::indexing_slicing, reason = "an id is the position of an item that was pushed, and none is taken out")]
impl<I: Id, T> Index<I> for Table<I, T> {
    type Output = T;

    fn index(&self, id: I) -> &T {
        &self.items[id.number()]
    }
}

#[allow(clippy::indexing_slicing, reason = "an id is the position of an item that was pushed, and none is taken out")]
impl<I: Id, T> IndexMut<I> for Table<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.items[id.number()]
    }
}
