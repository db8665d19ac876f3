//! Sets of ordinals: a list if they are few, a bitmap if they are many.

use std::borrow::Cow;

use roaring::{MultiOps, RoaringBitmap};

/// At most one of so many ordinals is in a list that is not borrowed.
const LISTED_SHARE: usize = 64;

/// Set of shipments by ordinal, mostly borrowed from the dataset.
#[derive(Clone, Debug)]
pub(in crate::dataset) enum OrdinalSet<'d> {
    /// All ordinals below this one.
    All(u32),
    /// Ascending ordinals.
    List(Cow<'d, [u32]>),
    /// Ordinals of a bitmap.
    Bitmap(Cow<'d, RoaringBitmap>),
}

impl<'d> OrdinalSet<'d> {
    pub(in crate::dataset) fn empty() -> OrdinalSet<'d> {
        OrdinalSet::List(Cow::Borrowed(&[]))
    }

    pub(in crate::dataset) fn len(&self) -> u32 {
        match self {
            OrdinalSet::All(len) => *len,
            OrdinalSet::List(list) => list.len() as u32,
            // There are fewer than 2^32 ordinals.
            OrdinalSet::Bitmap(bitmap) => bitmap.len() as u32,
        }
    }

    pub(in crate::dataset) fn first(&self) -> Option<u32> {
        match self {
            OrdinalSet::All(len) => (*len > 0).then_some(0),
            OrdinalSet::List(list) => list.first().copied(),
            OrdinalSet::Bitmap(bitmap) => bitmap.min(),
        }
    }

    /// At most `limit` ordinals from the `offset`th on, ascending.
    pub(in crate::dataset) fn page(&self, offset: u32, limit: usize) -> Vec<u32> {
        match self {
            OrdinalSet::All(len) => (offset..*len).take(limit).collect(),
            OrdinalSet::List(list) => list.iter().skip(offset as usize).take(limit).copied().collect(),
            OrdinalSet::Bitmap(bitmap) => match bitmap.select(offset) {
                Some(start) => bitmap.range(start..).take(limit).collect(),
                None => Vec::new(),
            },
        }
    }

    pub(in crate::dataset) fn contains(&self, ordinal: u32) -> bool {
        match self {
            OrdinalSet::All(len) => ordinal < *len,
            OrdinalSet::List(list) => list.binary_search(&ordinal).is_ok(),
            OrdinalSet::Bitmap(bitmap) => bitmap.contains(ordinal),
        }
    }

    /// The ordinals of `parts`, which are in any order and differ, out of `all`.
    pub(in crate::dataset) fn of_unsorted(parts: &[&[u32]], all: u32) -> OrdinalSet<'d> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        let ordinals = parts.iter().copied().flatten().copied();
        if len == all as usize {
            return OrdinalSet::All(all);
        }
        if len <= all as usize / LISTED_SHARE {
            let mut list: Vec<u32> = ordinals.collect();
            list.sort_unstable();
            return OrdinalSet::List(Cow::Owned(list));
        }
        // Adding so many to the bitmap one by one takes ten times as long.
        let mut bits = vec![0_u8; (all as usize).div_ceil(u8::BITS as usize)];
        for ordinal in ordinals {
            bits[(ordinal / u8::BITS) as usize] |= 1 << (ordinal % u8::BITS);
        }
        OrdinalSet::Bitmap(Cow::Owned(RoaringBitmap::from_lsb0_bytes(0, &bits)))
    }

    /// At most `limit` ordinals from `start` on, ascending.
    pub(in crate::dataset) fn from(&self, start: u32, limit: usize) -> Vec<u32> {
        match self {
            OrdinalSet::All(len) => (start..*len).take(limit).collect(),
            OrdinalSet::List(list) => {
                list[list.partition_point(|ordinal| *ordinal < start)..].iter().take(limit).copied().collect()
            }
            OrdinalSet::Bitmap(bitmap) => bitmap.range(start..).take(limit).collect(),
        }
    }

    /// Intersection of both sets.
    pub(in crate::dataset) fn and(self, other: OrdinalSet<'d>) -> OrdinalSet<'d> {
        match (self, other) {
            (OrdinalSet::All(_), set) | (set, OrdinalSet::All(_)) => set,
            (OrdinalSet::Bitmap(a), OrdinalSet::Bitmap(b)) => OrdinalSet::Bitmap(Cow::Owned(a.as_ref() & b.as_ref())),
            (OrdinalSet::List(list), OrdinalSet::Bitmap(bitmap))
            | (OrdinalSet::Bitmap(bitmap), OrdinalSet::List(list)) => {
                OrdinalSet::List(list.iter().copied().filter(|ordinal| bitmap.contains(*ordinal)).collect())
            }
            (OrdinalSet::List(a), OrdinalSet::List(b)) => {
                let (short, long) = if a.len() <= b.len() { (a, b) } else { (b, a) };
                OrdinalSet::List(short.iter().copied().filter(|ordinal| long.binary_search(ordinal).is_ok()).collect())
            }
        }
    }

    /// Size of the intersection with `bitmap`.
    pub(in crate::dataset) fn len_within(&self, bitmap: &RoaringBitmap) -> u32 {
        match self {
            OrdinalSet::All(_) => bitmap.len() as u32,
            OrdinalSet::List(list) => list.iter().filter(|ordinal| bitmap.contains(**ordinal)).count() as u32,
            OrdinalSet::Bitmap(own) => own.intersection_len(bitmap) as u32,
        }
    }

    /// Union of `sets`, which must be disjoint.
    pub(in crate::dataset) fn union_of_disjoint(mut sets: Vec<OrdinalSet<'d>>) -> OrdinalSet<'d> {
        if sets.len() <= 1 {
            return sets.pop().unwrap_or(OrdinalSet::empty());
        }
        let mut list = Vec::new();
        let mut bitmaps = Vec::new();
        for set in &sets {
            match set {
                OrdinalSet::All(_) => return set.clone(),
                OrdinalSet::List(few) => list.extend_from_slice(few),
                OrdinalSet::Bitmap(bitmap) => bitmaps.push(bitmap.as_ref()),
            }
        }
        if bitmaps.is_empty() {
            list.sort_unstable();
            return OrdinalSet::List(Cow::Owned(list));
        }
        let mut union = bitmaps.union();
        union.extend(list);
        OrdinalSet::Bitmap(Cow::Owned(union))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The multiples of `step` below `end`, in each form.
    fn multiples(step: usize, end: u32) -> [OrdinalSet<'static>; 2] {
        let multiples = || (0..end).step_by(step);
        [OrdinalSet::List(multiples().collect()), OrdinalSet::Bitmap(Cow::Owned(multiples().collect()))]
    }

    fn members(set: &OrdinalSet<'_>) -> BTreeSet<u32> {
        set.page(0, usize::MAX).into_iter().collect()
    }

    #[test]
    fn the_forms_of_a_set_say_the_same() {
        for (a, b) in multiples(2, 300_000).into_iter().flat_map(|a| multiples(3, 200_000).map(|b| (a.clone(), b))) {
            assert_eq!((a.len(), a.first()), (150_000, Some(0)));
            assert_eq!([0, 1, 299_998, 299_999, 300_000].map(|at| a.contains(at)), [true, false, true, false, false]);
            assert_eq!(a.page(100_001, 3), [200_002, 200_004, 200_006]);
            assert_eq!(a.page(149_999, 3), [299_998]);
            assert_eq!((a.from(200_001, 2), a.from(299_998, 3)), (vec![200_002, 200_004], vec![299_998]));
            assert!(a.from(299_999, 3).is_empty());
            assert!(a.page(150_000, 3).is_empty() && a.page(u32::MAX, 3).is_empty());
            let both = a.clone().and(b.clone());
            assert_eq!(members(&both), (0..200_000).step_by(6).collect());
            if let OrdinalSet::Bitmap(bitmap) = &b {
                assert_eq!(a.len_within(bitmap), both.len());
            }
            let of_all = OrdinalSet::All(300_000).and(a.clone());
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
                if is_list {
                    OrdinalSet::List(list.into())
                } else {
                    OrdinalSet::Bitmap(Cow::Owned(list.into_iter().collect()))
                }
            };
            let [other, _] = shifted(2);
            let union = OrdinalSet::union_of_disjoint(vec![form(list.clone(), a), form(other, b)]);
            assert_eq!(union.page(0, usize::MAX), (0..200_000).step_by(2).collect::<Vec<u32>>());
        }
        assert_eq!(OrdinalSet::union_of_disjoint(Vec::new()).len(), 0);
    }
}
