//! What was measured of a device, kept in a file: a process that starts need not measure again.
//!
//! A file is for one device, driver, number of threads and version of ours; a change of any of them is another file, and
//! what is in a file must say the same, or it is not believed. A file that cannot be read, parsed or written is as good
//! as none: the device is measured again. Written whole to a neighbour and renamed, so that no half of one is ever read.

use std::fs;
use std::path::{Path, PathBuf};

use super::adapter::AdapterFacts;
use super::calibration::Calibration;
use super::rates::Rates;
use super::work::Kernel;

/// What the figures depend on.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
struct Key {
    version: String,
    device: String,
    api: String,
    driver: String,
    threads: usize,
}

/// The figures: of the device, and of the kernels that were asked for so far.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Figures {
    pub calibration: Calibration,
    pub rates: Vec<(Kernel, Rates)>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct File {
    key: Key,
    figures: Figures,
}

/// Where a device's figures are, and whose they must be.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    key: Key,
}

impl Place {
    pub fn new(folder: &Path, facts: &AdapterFacts) -> Self {
        let key = Key {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            device: facts.name.clone(),
            api: facts.api.clone(),
            driver: facts.driver.clone(),
            threads: rayon::current_num_threads(),
        };
        let words = format!(
            "gpu-{} {} {} {} {}",
            key.device, key.api, key.driver, key.threads, key.version
        );
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        };
        let name: String = words.chars().map(plain).take(150).collect();
        Self {
            path: folder.join(name + ".json"),
            key,
        }
    }

    /// The figures, if there are some that are this device's and make sense.
    pub fn read(&self) -> Option<Figures> {
        let text = fs::read(&self.path).ok()?;
        let file: File = serde_json::from_slice(&text).ok()?;
        let floors = file.figures.calibration;
        let positive = |figure: f64| figure.is_finite() && figure > 0.0;
        let sensible = [
            floors.dispatch_secs,
            floors.upload_bytes_per_sec,
            floors.download_bytes_per_sec,
            floors.copy_bytes_per_sec,
            floors.flops_per_sec,
        ]
        .into_iter()
        .chain(file.figures.rates.iter().flat_map(|(_, rates)| {
            [
                rates.cpu_operations_per_sec,
                rates.gpu_operations_per_sec,
                rates.gpu_fixed_secs,
            ]
        }))
        .all(positive);
        (file.key == self.key && sensible).then_some(file.figures)
    }

    /// Writes the figures; what goes wrong is said and otherwise ignored.
    pub fn write(&self, figures: &Figures) {
        let written = || -> std::io::Result<()> {
            if let Some(folder) = self.path.parent() {
                fs::create_dir_all(folder)?;
            }
            let file = File {
                key: self.key.clone(),
                figures: figures.clone(),
            };
            // Another process may be at the same.
            let part = self
                .path
                .with_extension(format!("{}.part", std::process::id()));
            fs::write(&part, serde_json::to_vec_pretty(&file)?)?;
            fs::rename(&part, &self.path)
        };
        if let Err(why) = written() {
            tracing::debug!(path = %self.path.display(), %why, "what was measured of the device is not kept");
        }
    }
}

/// The user's folder for what may be lost: `$XDG_CACHE_HOME/driftline` or `~/.cache/driftline`. `None` without either.
pub(super) fn users_folder() -> Option<PathBuf> {
    let set = |name| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let cache = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")))?;
    Some(cache.join("driftline"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(driver: &str) -> AdapterFacts {
        AdapterFacts {
            name: "A/B (C)".to_owned(),
            kind: "DiscreteGpu".to_owned(),
            api: "Vulkan".to_owned(),
            driver: driver.to_owned(),
            is_cpu: false,
            max_buffer_bytes: 1,
            max_binding_bytes: 1,
            max_workgroup_memory_bytes: 1,
            max_workgroup_invocations: 1,
            max_workgroups_per_dimension: 1,
            subgroup_sizes: [32, 32],
            features: Vec::new(),
        }
    }

    fn figures() -> Figures {
        Figures {
            calibration: Calibration {
                dispatch_secs: 3e-5,
                upload_bytes_per_sec: 1e9,
                download_bytes_per_sec: 1e9,
                copy_bytes_per_sec: 1e11,
                flops_per_sec: 1e13,
                took_secs: 0.0,
            },
            rates: vec![(
                Kernel::Histogram,
                Rates {
                    cpu_operations_per_sec: 1e10,
                    gpu_operations_per_sec: 1e12,
                    gpu_fixed_secs: 1e-3,
                    subgroups: true,
                },
            )],
        }
    }

    #[test]
    fn a_file_is_read_by_the_device_that_it_is_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::new(&folder.path().join("deeper"), &facts("1.2"));
        assert_eq!(place.read(), None);
        place.write(&figures());
        assert_eq!(place.read(), Some(figures()));
        assert_eq!(
            Place::new(&folder.path().join("deeper"), &facts("1.3")).read(),
            None
        );
        // Of the same name, but somebody else's.
        let other = Place {
            path: place.path.clone(),
            key: Key {
                threads: 99,
                ..place.key.clone()
            },
        };
        assert_eq!(other.read(), None);
    }

    #[test]
    fn what_makes_no_sense_is_not_believed() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::new(folder.path(), &facts("1.2"));
        let mut nonsense = figures();
        nonsense.rates[0].1.gpu_fixed_secs = -1.0;
        place.write(&nonsense);
        assert_eq!(place.read(), None);
        fs::write(&place.path, "{").expect("a file");
        assert_eq!(place.read(), None);
    }
}
