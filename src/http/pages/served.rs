//! The pages that are being served, which are made anew when their brand file is read again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, Guard};

use super::documents::{PageSettings, Pages};
use crate::brand::{Brand, BrandError};

/// The pages, and what they are made from.
#[derive(Default)]
pub struct ServedPages {
    settings: PageSettings,
    brand_file: Option<PathBuf>,
    /// Those of this program, unless others were made, are made when somebody asks for one.
    current: OnceLock<ArcSwap<Pages>>,
    /// True if the brand file could not be used when it was last read.
    is_unread: AtomicBool,
}

impl ServedPages {
    /// Makes the pages, with the brand of `brand_file` if there is one.
    pub fn read(settings: PageSettings, brand_file: Option<&Path>) -> Result<ServedPages, BrandError> {
        let brand = brand_file.map(Brand::read).transpose()?.unwrap_or_default();
        let current = OnceLock::from(ArcSwap::from_pointee(Pages::new(&settings, &brand)));
        let brand_file = brand_file.map(Path::to_owned);
        Ok(ServedPages { settings, brand_file, current, is_unread: AtomicBool::new(false) })
    }

    /// The pages of this moment: a request loads them once.
    pub(crate) fn load(&self) -> Guard<Arc<Pages>> {
        self.current().load()
    }

    fn current(&self) -> &ArcSwap<Pages> {
        self.current.get_or_init(|| ArcSwap::from_pointee(Pages::new(&self.settings, &Brand::default())))
    }

    /// Reads the brand file again, if there is one. If it cannot be used that is logged, and the pages stay as they are.
    pub(crate) fn reload(&self) {
        let Some(path) = &self.brand_file else { return };
        let brand = Brand::read(path);
        self.is_unread.store(brand.is_err(), Ordering::Relaxed);
        match brand {
            Ok(brand) => {
                self.current().store(Arc::new(Pages::new(&self.settings, &brand)));
                tracing::info!("brand read again");
            }
            Err(error) => tracing::error!(%error, "brand not read again; the pages stay as they are"),
        }
    }

    /// True if the brand file could not be used when it was last read.
    pub(crate) fn is_unread(&self) -> bool {
        self.is_unread.load(Ordering::Relaxed)
    }
}
