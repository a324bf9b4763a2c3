//! The shaders as text: they are valid, and what they declare is what the Rust side feeds. No device is needed.

use std::collections::BTreeSet;
use std::path::Path;

use driftline::compute::twins::{TWINS, Twin};
use naga::valid::{
    Capabilities, ModuleInfo, ShaderStages, SubgroupOperationSet, ValidationFlags, Validator,
};
use naga::{AddressSpace, Expression, Literal, Module, TypeInner};

/// Parses and validates. What is optional is allowed where the twin says so: subgroups, and nothing else.
fn module(twin: &Twin) -> (Module, ModuleInfo) {
    let shader = twin.shader;
    let source = shader.source();
    let module = naga::front::wgsl::parse_str(&source)
        .unwrap_or_else(|why| panic!("{}: {}", shader.name, why.emit_to_string(&source)));
    let allowed = match twin.subgroups {
        true => Capabilities::SUBGROUP,
        false => Capabilities::empty(),
    };
    let mut validator = Validator::new(ValidationFlags::all(), allowed);
    if twin.subgroups {
        validator
            .subgroup_stages(ShaderStages::COMPUTE)
            .subgroup_operations(SubgroupOperationSet::all());
    }
    let info = validator
        .validate(&module)
        .unwrap_or_else(|why| panic!("{}: {why:?}", shader.name));
    (module, info)
}

/// A device without subgroups must not be shown them, and a form of its own must have a reason. Cooperative matrices are
/// refused by validation: no twin is allowed more than subgroups.
#[test]
fn subgroups_are_in_second_forms_alone() {
    for twin in TWINS.iter().filter(|twin| twin.subgroups) {
        let (module, _) = module(twin);
        let strict =
            Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module);
        assert!(strict.is_err(), "{} needs no subgroups", twin.shader.name);
        let plain = twin.shader.name.strip_suffix("_subgroups");
        let has_first = |name| {
            TWINS
                .iter()
                .any(|twin| twin.shader.name == name && !twin.subgroups)
        };
        assert!(
            plain.is_some_and(has_first),
            "{} is no second form",
            twin.shader.name
        );
    }
}

#[test]
fn entry_points_and_workgroups_are_those_of_the_twins() {
    for twin in TWINS {
        let (module, _) = module(twin);
        let found: BTreeSet<(String, [u32; 3])> = module
            .entry_points
            .iter()
            .map(|entry| (entry.name.clone(), entry.workgroup_size))
            .collect();
        let expect: BTreeSet<(String, [u32; 3])> = twin
            .entries
            .iter()
            .map(|(name, size)| ((*name).to_owned(), *size))
            .collect();
        assert_eq!(found, expect, "{}", twin.shader.name);
        for entry in &module.entry_points {
            let invocations: u32 = entry.workgroup_size.iter().product();
            assert!(
                invocations <= 256,
                "{}: every device has 256",
                twin.shader.name
            );
        }
    }
}

#[test]
fn workgroup_memory_fits_the_smallest_device() {
    for twin in TWINS {
        let (module, info) = module(twin);
        for (at, entry) in module.entry_points.iter().enumerate() {
            let used = info.get_entry_point(at);
            let bytes: u32 = module
                .global_variables
                .iter()
                .filter(|(handle, variable)| {
                    variable.space == AddressSpace::WorkGroup && !used[*handle].is_empty()
                })
                .map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()))
                .sum();
            assert!(
                bytes <= 16_384,
                "{}, {}: {bytes} bytes",
                twin.shader.name,
                entry.name
            );
        }
    }
}

#[test]
fn bindings_are_those_of_the_twins() {
    for twin in TWINS {
        let (module, _) = module(twin);
        let mut found: Vec<(u32, String, &str)> = module
            .global_variables
            .iter()
            .filter_map(|(_, variable)| {
                let binding = variable.binding.as_ref()?;
                assert_eq!(binding.group, 0, "{}", twin.shader.name);
                let space = match variable.space {
                    AddressSpace::Uniform => "uniform",
                    AddressSpace::Storage { access }
                        if access.contains(naga::StorageAccess::STORE) =>
                    {
                        "read_write"
                    }
                    AddressSpace::Storage { .. } => "read",
                    other => panic!("{}: {other:?}", twin.shader.name),
                };
                Some((
                    binding.binding,
                    variable.name.clone().unwrap_or_default(),
                    space,
                ))
            })
            .collect();
        found.sort();
        let expect: Vec<(u32, String, &str)> = (0..)
            .zip(twin.bindings)
            .map(|(at, (name, space))| (at, (*name).to_owned(), *space))
            .collect();
        assert_eq!(found, expect, "{}", twin.shader.name);
    }
}

#[test]
fn parameters_are_words_in_the_order_of_the_twins() {
    for twin in TWINS {
        let (module, _) = module(twin);
        let (_, params) = module
            .types
            .iter()
            .find(|(_, ty)| ty.name.as_deref() == Some("Params"))
            .unwrap_or_else(|| panic!("{} has no Params", twin.shader.name));
        let TypeInner::Struct { members, span } = &params.inner else {
            panic!("{}: Params is no struct", twin.shader.name);
        };
        let found: Vec<(&str, u32)> = members
            .iter()
            .map(|member| (member.name.as_deref().unwrap_or(""), member.offset))
            .collect();
        let expect: Vec<(&str, u32)> = twin
            .params
            .iter()
            .zip(0..)
            .map(|(name, at)| (*name, 4 * at))
            .collect();
        assert_eq!(found, expect, "{}", twin.shader.name);
        assert_eq!(
            *span as usize,
            4 * twin.params.len(),
            "{}: uniforms are sent whole",
            twin.shader.name
        );
        for member in members {
            assert_eq!(
                module.types[member.ty].inner.size(module.to_ctx()),
                4,
                "{:?}",
                member.name
            );
        }
    }
}

#[test]
fn constants_are_those_of_the_twins() {
    for twin in TWINS {
        let (module, _) = module(twin);
        let found: BTreeSet<(String, u32)> = module
            .constants
            .iter()
            .filter_map(|(_, constant)| {
                let name = constant.name.clone()?;
                let Expression::Literal(literal) = module.global_expressions[constant.init] else {
                    panic!("{}: {name} is computed", twin.shader.name);
                };
                let bits = match literal {
                    Literal::U32(value) => value,
                    Literal::F32(value) => value.to_bits(),
                    other => panic!("{}: {name} is {other:?}", twin.shader.name),
                };
                Some((name, bits))
            })
            .collect();
        let expect: BTreeSet<(String, u32)> = twin
            .constants
            .iter()
            .map(|(name, bits)| ((*name).to_owned(), *bits))
            .collect();
        assert_eq!(found, expect, "{}", twin.shader.name);
    }
}

/// Every file of `shaders/` is a part of a twin of its own name, has a Rust file of its name and a row in the README.
#[test]
fn every_shader_has_a_twin_and_a_row() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme =
        std::fs::read_to_string(root.join("shaders/README.md")).expect("shaders/README.md");
    let mut files = 0;
    for entry in std::fs::read_dir(root.join("shaders")).expect("shaders/") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|ending| ending != "wgsl") {
            continue;
        }
        files += 1;
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a name")
            .to_owned();
        let text = std::fs::read_to_string(&path).expect("a shader");
        let has_text = |twin: &&Twin| twin.shader.parts.contains(&text.as_str());
        assert!(
            TWINS.iter().any(|twin| has_text(&twin)),
            "{stem}.wgsl is used by no twin"
        );
        assert!(
            root.join(format!("src/compute/{stem}.rs")).exists(),
            "{stem}.wgsl has no src/compute/{stem}.rs"
        );
        assert!(
            readme.contains(&format!("| `{stem}` |")),
            "{stem} has no row in shaders/README.md"
        );
    }
    assert!(files >= TWINS.len(), "{files} files");
}
