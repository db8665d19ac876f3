//! Sets of shipments, by ordinal: a list where they are few, a bitmap where they are many.

use std::borrow::Cow;

use roaring::{MultiOps, RoaringBitmap};

/// Shipments by ordinal, mostly borrowed from the dataset.
#[derive(Clone, Debug)]
pub(in crate::dataset) enum Set<'d> {
    /// All of a dataset with so many.
    All(u32),
    /// These, ascending.
    List(Cow<'d, [u32]>),
    /// These.
    Bitmap(Cow<'d, RoaringBitmap>),
}

impl<'d> Set<'d> {
    pub(in crate::dataset) fn empty() -> Set<'d> {
        Set::List(Cow::Borrowed(&[]))
    }

    pub(in crate::dataset) fn len(&self) -> u32 {
        match self {
            Set::All(len) => *len,
            Set::List(list) => list.len() as u32,
            // Ordinals have 32 bits, and there is one less of them.
            Set::Bitmap(bitmap) => bitmap.len() as u32,
        }
    }

    pub(in crate::dataset) fn first(&self) -> Option<u32> {
        match self {
            Set::All(len) => (*len > 0).then_some(0),
            Set::List(list) => list.first().copied(),
            Set::Bitmap(bitmap) => bitmap.min(),
        }
    }

    /// The ordinals from the `offset`th on, ascending, at most `limit`.
    pub(in crate::dataset) fn page(&self, offset: u32, limit: usize) -> Vec<u32> {
        match self {
            Set::All(len) => (offset..*len).take(limit).collect(),
            Set::List(list) => list.iter().skip(offset as usize).take(limit).copied().collect(),
            Set::Bitmap(bitmap) => match bitmap.select(offset) {
                Some(start) => bitmap.range(start..).take(limit).collect(),
                None => Vec::new(),
            },
        }
    }

    /// What is in both.
    pub(in crate::dataset) fn and(self, other: Set<'d>) -> Set<'d> {
        match (self, other) {
            (Set::All(_), set) | (set, Set::All(_)) => set,
            (Set::Bitmap(a), Set::Bitmap(b)) => Set::Bitmap(Cow::Owned(a.as_ref() & b.as_ref())),
            (Set::List(list), Set::Bitmap(bitmap)) | (Set::Bitmap(bitmap), Set::List(list)) => {
                Set::List(list.iter().copied().filter(|ordinal| bitmap.contains(*ordinal)).collect())
            }
            (Set::List(a), Set::List(b)) => {
                let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
                Set::List(short.iter().copied().filter(|ordinal| long.binary_search(ordinal).is_ok()).collect())
            }
        }
    }

    /// How many are in both this set and `bitmap`.
    pub(in crate::dataset) fn len_within(&self, bitmap: &RoaringBitmap) -> u32 {
        match self {
            Set::All(_) => bitmap.len() as u32,
            Set::List(list) => list.iter().filter(|ordinal| bitmap.contains(**ordinal)).count() as u32,
            Set::Bitmap(own) => own.intersection_len(bitmap) as u32,
        }
    }

    /// What is in any of `sets`, no two of which share anything.
    pub(in crate::dataset) fn union_of_disjoint(mut sets: Vec<Set<'d>>) -> Set<'d> {
        if sets.len() <= 1 {
            return sets.pop().unwrap_or(Set::empty());
        }
        let mut list = Vec::new();
        let mut bitmaps = Vec::new();
        for set in &sets {
            match set {
                Set::All(_) => return set.clone(),
                Set::List(few) => list.extend_from_slice(few),
                Set::Bitmap(bitmap) => bitmaps.push(bitmap.as_ref()),
            }
        }
        if bitmaps.is_empty() {
            list.sort_unstable();
            return Set::List(Cow::Owned(list));
        }
        let mut union = bitmaps.union();
        union.extend(list);
        Set::Bitmap(Cow::Owned(union))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// A set of the numbers below `end` that `step` divides, in each form.
    fn multiples(step: usize, end: u32) -> [Set<'static>; 2] {
        let multiples = || (0..end).step_by(step);
        [Set::List(multiples().collect()), Set::Bitmap(Cow::Owned(multiples().collect()))]
    }

    fn members(set: &Set<'_>) -> BTreeSet<u32> {
        set.page(0, usize::MAX).into_iter().collect()
    }

    #[test]
    fn the_forms_of_a_set_say_the_same() {
        for (a, b) in multiples(2, 300_000).into_iter().flat_map(|a| multiples(3, 200_000).map(|b| (a.clone(), b))) {
            assert_eq!((a.len(), a.first()), (150_000, Some(0)));
            assert_eq!(a.page(100_001, 3), [200_002, 200_004, 200_006]);
            assert_eq!(a.page(149_999, 3), [299_998]);
            assert!(a.page(150_000, 3).is_empty() && a.page(u32::MAX, 3).is_empty());
            let both = a.clone().and(b.clone());
            assert_eq!(members(&both), (0..200_000).step_by(6).collect());
            if let Set::Bitmap(bitmap) = &b {
                assert_eq!(a.len_within(bitmap), both.len());
            }
            let of_all = Set::All(300_000).and(a.clone());
            assert_eq!(members(&of_all), members(&a));
        }
    }

    #[test]
    fn a_union_has_what_any_has_in_order() {
        let shifted = |by: u32| {
            multiples(4, 200_000)
                .map(|set| set.page(0, usize::MAX))
                .map(|m| m.into_iter().map(|ordinal| ordinal + by).collect::<Vec<u32>>())
        };
        let [list, _] = shifted(0);
        for (a, b) in [(true, true), (true, false), (false, true), (false, false)] {
            let form = |list: Vec<u32>, is_list| {
                if is_list { Set::List(list.into()) } else { Set::Bitmap(Cow::Owned(list.into_iter().collect())) }
            };
            let [other, _] = shifted(2);
            let union = Set::union_of_disjoint(vec![form(list.clone(), a), form(other, b)]);
            assert_eq!(union.page(0, usize::MAX), (0..200_000).step_by(2).collect::<Vec<u32>>());
        }
        assert_eq!(Set::union_of_disjoint(Vec::new()).len(), 0);
    }
}
