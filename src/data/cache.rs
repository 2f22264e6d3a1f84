//! A bounded store of rows that were read together.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::hdf5::Values;
use crate::error::Result;

/// Keeps the blocks of rows that were used last.
pub struct Cache {
    capacity: usize,
    /// The least recently used block first.
    blocks: VecDeque<(Range<usize>, Arc<Values>)>,
}

impl Cache {
    /// A cache of at most `capacity` bytes. The last block is kept whatever its size.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            blocks: VecDeque::new(),
        }
    }

    /// The block of these rows, from memory or by `read`.
    pub fn get(
        &mut self,
        rows: Range<usize>,
        read: impl FnOnce(Range<usize>) -> Result<Values>,
    ) -> Result<Arc<Values>> {
        let kept = self.blocks.iter().position(|(kept, _)| *kept == rows);
        if let Some(block) = kept.and_then(|place| self.blocks.remove(place)) {
            let values = Arc::clone(&block.1);
            self.blocks.push_back(block);
            return Ok(values);
        }
        let values = Arc::new(read(rows.clone())?);
        self.blocks.push_back((rows, Arc::clone(&values)));
        while self.blocks.len() > 1 && self.bytes() > self.capacity {
            self.blocks.pop_front();
        }
        Ok(values)
    }

    fn bytes(&self) -> usize {
        self.blocks.iter().map(|(_, values)| values.bytes()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn four_bytes(rows: Range<usize>) -> Result<Values> {
        Ok(Values::U8(vec![rows.start as u8; 4]))
    }

    #[test]
    fn a_block_is_read_once_while_it_is_kept() {
        let mut cache = Cache::new(8);
        cache.get(0..2, four_bytes).unwrap();
        let again = cache.get(0..2, |_| panic!("read twice")).unwrap();
        assert_eq!(*again, Values::U8(vec![0; 4]));
    }

    #[test]
    fn the_least_recently_used_block_goes_first() {
        let mut cache = Cache::new(8);
        cache.get(0..2, four_bytes).unwrap();
        cache.get(2..4, four_bytes).unwrap();
        cache.get(0..2, four_bytes).unwrap();
        cache.get(4..6, four_bytes).unwrap();
        cache.get(0..2, |_| panic!("was dropped")).unwrap();
        let mut read = false;
        cache
            .get(2..4, |rows| {
                read = true;
                four_bytes(rows)
            })
            .unwrap();
        assert!(read, "rows 2 and 3 should have been dropped");
        assert!(cache.bytes() <= 8);
    }

    #[test]
    fn a_block_larger_than_the_cache_is_kept_alone() {
        let mut cache = Cache::new(2);
        cache.get(0..2, four_bytes).unwrap();
        cache.get(0..2, |_| panic!("read twice")).unwrap();
    }
}
