"""CITATION.cff: what the CFF 1.2.0 schema requires, with this version's number."""

from pathlib import Path

import yaml

import zeroscale

ROOT = Path(__file__).resolve().parents[2]
# Keys of schema 1.2.0 (github.com/citation-file-format); any other key is a fault of the schema.
KEYS = {"abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers", "keywords"}
KEYS |= {"license", "license-url", "message", "preferred-citation", "references", "repository", "repository-artifact"}
KEYS |= {"repository-code", "title", "type", "url", "version"}


def test_citation_file():
    content = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert content.keys() <= KEYS and content["cff-version"] == "1.2.0" and content["type"] == "software"
    assert content["authors"] == [{"name": "The zeroscale developers"}]
    assert content["version"] == zeroscale.__version__ and content["license"] == "Apache-2.0"
    for entry in content["references"]:
        assert {"authors", "title", "type"} <= entry.keys()
