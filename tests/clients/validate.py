#!/usr/bin/env python3
"""Validates reports against their published schemas.

    python3 tests/clients/validate.py --install      install what it needs into .cuda/clients/
    python3 tests/clients/validate.py FILE...        exit 1 if a file is not valid, 3 if that is missing

Files that end in .sarif are read as SARIF 2.1.0, files that end in .xml as JUnit's. The schemas lie
in tests/schemas/.
"""

import json
import pathlib
import sys

import toolkit

SCHEMAS = toolkit.ROOT / "tests" / "schemas"
PACKAGES = ["fastjsonschema==2.22.3", "elementpath==5.1.4", "xmlschema==4.3.2"]
MISSING = 3


def sarif(path):
    import fastjsonschema

    check = fastjsonschema.compile(json.loads((SCHEMAS / "sarif-2.1.0-rtm.5.json").read_text()))
    try:
        check(json.loads(path.read_text()))
    except fastjsonschema.JsonSchemaException as error:
        return [str(error)]
    return []


def junit(path):
    import xmlschema

    schema = xmlschema.XMLSchema(str(SCHEMAS / "junit-10.xsd"))
    return [f"{error.path}: {error.reason}" for error in schema.iter_errors(str(path))]


KINDS = {".sarif": sarif, ".xml": junit}


def main(arguments):
    if arguments == ["--install"]:
        for requirement in PACKAGES:
            toolkit.fetch(requirement)
        return 0
    for requirement in PACKAGES:
        sys.path.insert(0, str(toolkit.FOLDER / requirement.split("==")[0]))
    try:
        import fastjsonschema  # noqa: F401
        import xmlschema  # noqa: F401
    except ImportError as error:
        print(f"{error}; run python3 tests/clients/validate.py --install", file=sys.stderr)
        return MISSING
    wrong = 0
    for path in map(pathlib.Path, arguments):
        problems = KINDS[path.suffix](path)
        for problem in problems:
            print(f"{path}: {problem}", file=sys.stderr)
        wrong += bool(problems)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
