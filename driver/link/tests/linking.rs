//! Linked texts are PTX again, with each declaration at its definition.
#![allow(missing_docs, reason = "a test")]

use graphproof_link::{LinkError, Linker, merge};

const HEAD: &str = ".version 7.0\n.target sm_70\n.address_size 64\n";

fn text(body: &str) -> String {
    format!("{HEAD}{body}")
}

fn linked(bodies: &[&str]) -> Result<String, LinkError> {
    let mut linker = Linker::new(80);
    for (n, body) in bodies.iter().enumerate() {
        linker.add(Some(&format!("input {n}")), text(body).as_bytes())?;
    }
    linker.link()
}

const CALLER: &str = ".extern .func (.param .b32 r) twice(.param .b32 x);\n.extern .global .align 4 .u32 bias;\n\
    .global .align 4 .b8 table[8] = {1, 2, 3, 4};\n\
    .visible .entry k(.param .u64 p) {\n .reg .b64 %p; // twice in a comment; {\n call twice;\n mov.u64 %p, table;\n ret;\n}\n";
const CALLED: &str = "/* a } comment */ .visible .global .align 4 .u32 bias = 7;\n.global .align 4 .b8 table[4] = {9};\n\
    .func local() { ret; }\n\
    .visible .func (.param .b32 r) twice(.param .b32 x)\n{\n mov.u32 %r, table;\n call local;\n ret;\n}\n";

#[test]
fn a_declaration_is_the_definition_of_another_text() {
    for order in [[CALLER, CALLED], [CALLED, CALLER]] {
        let text = linked(&order).expect("linked");
        assert_eq!(text.matches(".version").count(), 1);
        assert!(!text.contains(".extern"), "{text}");
        // A prototype stands before its first call, and the definition once.
        assert!(text.find("twice").unwrap() < text.find("call twice").unwrap());
        assert_eq!(text.matches(".visible .func (.param .b32 r) twice").count(), 2, "{text}");
        // Two tables, each known to its own text.
        assert_eq!(text.matches("table[8]").count() + text.matches("table[4]").count(), 1, "{text}");
        assert!(text.contains("table$link1["), "{text}");
    }
}

#[test]
fn weak_definitions_give_way_and_strong_ones_collide() {
    let weak = ".weak .func f() { ret; }\n.weak .global .u32 g = 1;\n";
    let strong = ".visible .func f() { trap; }\n.visible .global .u32 g = 2;\n";
    for order in [[weak, strong], [strong, weak]] {
        let text = linked(&order).expect("linked");
        assert!(text.contains("trap") && text.contains("g = 2") && !text.contains("g = 1"), "{text}");
        assert_eq!(text.matches(" f()").count(), 1, "{text}");
    }
    let text = linked(&[weak, weak]).expect("linked");
    assert_eq!((text.matches(" f()").count(), text.matches(" g = 1").count()), (1, 1), "{text}");
    let error = linked(&[strong, strong]).unwrap_err();
    assert_eq!(error.to_string(), "`f` is defined in input 0 and in input 1");
}

#[test]
fn the_newest_header_is_taken() {
    let texts = [("9.0", "sm_70"), ("10.2", "sm_80"), ("8.9", "sm_53")];
    let texts = texts.map(|(v, t)| (v.to_owned(), format!(".version {v}\n.target {t}\n.address_size 64\n")));
    assert!(merge(&texts).expect("linked").starts_with(".version 10.2\n.target sm_80\n"));
}

#[test]
fn what_is_no_ptx_is_refused_by_name() {
    let mut linker = Linker::new(80);
    let error = linker.add(Some("code.ltoir"), b"\xed\x43\x4e\x7f....").unwrap_err();
    assert!(error.to_string().starts_with("code.ltoir: no PTX"), "{error}");
    assert!(linker.add(None, b"!<arch>\nlibcudadevrt").is_ok());
    assert!(linker.link().unwrap_err().to_string().contains("no PTX"));
    let image = graphproof_image::container::pack(&text(CALLED), 80);
    linker.add(None, &image).expect("a container");
    assert_eq!(linker.link().expect("linked"), text(CALLED));
}
