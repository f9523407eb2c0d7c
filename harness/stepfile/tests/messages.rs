//! What is wrong with a file is told with file, line and key, and with the near name.

use std::path::Path;

use graphproof_report::suite::Suite as _;
use graphproof_stepfile::StepFile;

const GOOD: &str = r#"
[parameters]
n = 8
[let]
half = "n / 2"
[[module]]
ptx = ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .u64 p)\n{\n    ret;\n}\n"
[[step]]
name = "one"
[step.buffers]
x = { role = "input", type = "f32", shape = ["n"], fill = "normal" }
y = { role = "output", type = "f32", shape = ["half", 2] }
[[step.work]]
launch = "k"
grid = [1]
block = [32]
args = ["x"]
"#;

fn error(text: &str, shape: &str) -> String {
    let made = StepFile::parse(Path::new("my.toml"), text).and_then(|suite| suite.step("one", &suite.shape(shape)?));
    match made {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_file_that_the_others_are_made_from_is_right() {
    assert_eq!(error(GOOD, ""), "");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let cases = [
        ("launch = \"k\"", "if = \"x\"\nlaunch = \"k\"", "my.toml:13: a piece of work is exactly one of"),
        (
            "[[step.work]]",
            "[[step.work]]\nwhile = \"x\"\ndo = []\nelse = []\n[[step.work]]",
            "my.toml:16: 'else' belongs to an if, and this is a while",
        ),
        ("[[step.work]]", "[[step.work]]\nswitch = \"x\"\n[[step.work]]", "my.toml:13: this switch has no 'cases'"),
        (
            "[[step.work]]",
            "[[step.work]]\nswitch = \"x\"\ncases = []\n[[step.work]]",
            "my.toml:15: a switch has a list of work for 0",
        ),
        (
            "[[step.work]]",
            "[[step.work]]\nif = \"y\"\ndo = []\n[[step.work]]",
            "my.toml:14: 'y' has 32 bytes; a condition",
        ),
        (
            "shape = [\"n\"], fill",
            "shape = [\"n\", 2], strides = [1, 1], fill",
            "my.toml:11: 'strides': elements overlap: 2 with a stride of 1 reach beyond the stride 1",
        ),
        ("shape = [\"n\"], fill", "shape = [\"n\"], strides = [\"m\"], fill", "my.toml:11: there is no number 'm'"),
        (
            "shape = [\"n\"], fill",
            "shape = [\"n\"], strides = [0], fill",
            "my.toml:11: '0' is 0, and must be a whole number from 1",
        ),
        (
            "shape = [\"n\"], fill",
            "shape = [\"n\"], stride = [1], fill",
            "my.toml:11: unknown key 'stride'; did you mean 'strides'?",
        ),
        (
            "shape = [\"n\"], fill",
            "shape = [\"n\"], align = 12, fill",
            "my.toml:11: 'align' is 12, and must be a power of two",
        ),
        (
            "shape = [\"n\"], fill",
            "shape = [\"n\"], align = 2, fill",
            "my.toml:11: 'align' is 2, and must be a power of two, 4 at",
        ),
        ("n = 8", "n = \"8\"", "my.toml:3: invalid type: string \"8\", expected u64"),
        ("\"n / 2\"", "\"m / 2\"", "my.toml:5: there is no number 'm'; "),
        ("\"n / 2\"", "\"n / \"", "my.toml:5: 'n / ': it ends too early"),
        (
            "half = \"n / 2\"",
            "half = \"more\"\nmore = \"half + 1\"",
            "my.toml:5: 'half' needs itself: half → more → half",
        ),
        ("\"n / 2\"", "\"half + 1\"", "my.toml:5: 'half' needs itself: half → half"),
        ("half = \"n / 2\"", "n = 3\nhalf = 3", "my.toml:5: 'n' is no name for another number"),
        ("role = \"input\"", "role = \"inpt\"", "my.toml:11: there is no role 'inpt'; did you mean 'input'?"),
        (
            "type = \"f32\", shape = [\"n\"]",
            "type = \"fp32\", shape = [\"n\"]",
            "my.toml:11: there is no type 'fp32'; did you mean 'f32'?",
        ),
        ("fill = \"normal\"", "fill = \"norml\"", "my.toml:11: there is no generator 'norml'; did you mean 'normal'?"),
        (", fill = \"normal\"", "", "my.toml:11: the input 'x' has no 'fill'"),
        (
            "fill = \"normal\"",
            "fill = { generator = \"uniform\", hi = 3 }",
            "my.toml:11: there is no key of uniform 'hi'; did you mean 'high'?",
        ),
        (
            "fill = \"normal\"",
            "fill = { generator = \"uniform\", high = -3 }",
            "my.toml:11: no number is from 0 on and below -3",
        ),
        ("fill = \"normal\"", "fill = { file = \"gone.npy\" }", "my.toml:11: ./gone.npy cannot be read"),
        ("fill", "fil", "my.toml:11: unknown key 'fil'; did you mean 'fill'?"),
        (
            "[\"half\", 2] }",
            "[\"half\", 2], fill = \"zeros\" }",
            "my.toml:12: 'y' is output: it is poisoned, not filled",
        ),
        (
            "[\"half\", 2] }",
            "[\"half\", 2], agree = \"bit\" }",
            "my.toml:12: there is no agreement 'bit'; did you mean 'bits'?",
        ),
        ("[\"half\", 2] }", "[\"half\", 2], valid = \"z\" }", "my.toml:12: there is no buffer 'z'"),
        ("[\"half\", 2]", "[\"half - 4\", 2]", "my.toml:12: 'half - 4' is 0, and must be a whole number from 1"),
        ("launch = \"k\"", "launh = \"k\"", "my.toml:14: unknown key 'launh'; did you mean 'launch'?"),
        ("launch = \"k\"", "launch = \"k\"\nmemset = \"y\"", "my.toml:13: a piece of work is exactly one of launch, "),
        (
            "launch = \"k\"\n",
            "memset = \"y\"\nvalue = 0\n",
            "my.toml:16: 'grid' belongs to a launch, and this is a memset",
        ),
        ("grid = [1]\n", "", "my.toml:13: this launch has no 'grid'"),
        ("grid = [1]", "grid = [1, 1, 1, 1]", "my.toml:15: 'grid' has 4 extents"),
        ("grid = [1]", "grid = [\"n / 0\"]", "my.toml:15: 'n / 0': a division by 0"),
        ("args = [\"x\"]", "args = [\"X\"]", "my.toml:17: there is no buffer 'X'; "),
        ("args = [\"x\"]", "args = [\"x\", { f31 = 1 }]", "my.toml:17: there is no type 'f31'; did you mean 'f32'?"),
        ("args = [\"x\"]", "args = [\"x\", { i8 = 300 }]", "'300': 300 does not fit i8, which goes from -128 to 127"),
        (
            "launch = \"k\"\ngrid = [1]\nblock = [32]\nargs = [\"x\"]",
            "host = \"syncronize\"",
            "my.toml:14: there is no host call 'syncronize'; did you mean 'synchronize'?",
        ),
        ("ptx = ", "file = \"k.cu\"\nptx = ", "my.toml:6: a module has one of 'file', 'ptx' and 'cuda'"),
        ("[[step.work]]", "[[step.wrk]]", "my.toml:13: unknown key 'wrk'; did you mean 'work'?"),
        ("name = \"one\"", "", "my.toml:8: missing field `name`"),
    ];
    for (from, to, expected) in cases {
        assert!(GOOD.contains(from), "{from}");
        let text = GOOD.replacen(from, to, 1);
        let error = error(&text, "");
        // The column is where a word of the message stands.
        let parts: Vec<&str> = error.splitn(4, ':').collect();
        let line = parts.get(1).and_then(|line| line.parse::<usize>().ok());
        let column = parts.get(2).and_then(|column| column.parse::<usize>().ok());
        let told = match (line, column) {
            (Some(line), Some(column)) => {
                let there = text.lines().nth(line - 1).unwrap_or_default().get(column - 1..).unwrap_or_default();
                assert!(!there.is_empty(), "{error}");
                let names = [" there is no ", " unknown key "].iter().any(|start| parts[3].starts_with(start));
                let word = parts[3].split('\'').nth(1).unwrap_or_default();
                assert!(!names || there.contains(word), "{error}: {there}");
                format!("my.toml:{line}:{}", parts[3])
            }
            _ => error.clone(),
        };
        assert!(told.starts_with(expected), "{to}\n{error}\n{expected}");
    }
}

#[test]
fn shapes_and_names_are_those_of_the_file() {
    assert_eq!(error(GOOD, "m=3"), "a shape has no parameter 'm'; it has n");
    let suite = StepFile::parse(Path::new("my.toml"), GOOD).unwrap();
    assert_eq!(suite.name(), "my");
    let error = suite.step("two", &suite.shape("").unwrap()).err().unwrap().to_string();
    assert_eq!(error, "no step is called 'two'; the steps are one");
    let buffers = suite.step("one", &suite.shape("n=20").unwrap()).unwrap().buffers();
    assert_eq!(buffers.iter().map(|spec| spec.shape.clone()).collect::<Vec<_>>(), [vec![20], vec![10, 2]]);
}

#[test]
fn arrays_of_files_are_the_inputs_of_steps_in_turn() {
    let folder = tempfile::tempdir().unwrap();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 8), }\n";
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend((0..24).flat_map(|number| (number as f32).to_le_bytes()));
    std::fs::write(folder.path().join("x.npy"), file).unwrap();
    let text = GOOD.replace("fill = \"normal\"", "fill = { file = \"x.npy\" }");
    let suite = StepFile::parse(&folder.path().join("my.toml"), &text).unwrap();
    let step = suite.step("one", &suite.shape("").unwrap()).unwrap();
    let mut inputs = graphproof_harness::step::HostBuffers::zeroed(&step.buffers(), |_| true);
    for (index, first) in [(0, 0.0), (1, 8.0), (2, 16.0), (3, 0.0)] {
        step.fill_inputs(index, 5, &mut inputs).unwrap();
        assert_eq!(inputs.slice::<f32>("x").unwrap()[0], first);
    }
    let error = suite.step("one", &suite.shape("n=4").unwrap()).err().unwrap().to_string();
    assert!(error.ends_with("x.npy has the shape [3, 8], and 'x' [4]; a leading extent would count steps"), "{error}");
}
