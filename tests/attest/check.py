"""Reads a document of `ostree-go export attest` with libraries by others, and prints what they found.

    check.py FILE [PUBLIC-KEY]      the key is 32 bytes in Base64; with it, FILE is an envelope
"""

import base64
import json
import sys
import tempfile

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf.json_format import Parse, ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement import Statement
from in_toto_attestation.v1.statement_pb2 import Statement as StatementMessage
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
from spdx_tools.spdx.parser.parse_anything import parse_file
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document


def spdx(document):
    with tempfile.NamedTemporaryFile("w", suffix=".spdx.json") as file:
        json.dump(document, file)
        file.flush()
        parsed = parse_file(file.name)
    problems = [problem.validation_message for problem in validate_full_spdx_document(parsed)]
    assert not problems, problems
    print("spdx", parsed.creation_info.spdx_version, len(parsed.packages), "packages")


def cyclonedx(document):
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))
    assert error is None, error
    print("cyclonedx", document["specVersion"], len(document["components"]), "components")


def slsa(document):
    message = ParseDict(document, Provenance())
    print("slsa", message.build_definition.build_type, message.run_details.builder.id)


PREDICATES = {
    "https://slsa.dev/provenance/v1": slsa,
    "https://spdx.dev/Document/v2.3": spdx,
    "https://cyclonedx.org/bom/v1.6": cyclonedx,
    "https://spdx.dev/Document": spdx,
    "https://cyclonedx.org/bom": cyclonedx,
}


def statement(text):
    message = Parse(text, StatementMessage())
    Statement.copy_from_pb(message).validate()
    for subject in message.subject:
        print("subject", subject.name, dict(subject.digest))
    print("type", message.predicate_type)
    PREDICATES[message.predicate_type](json.loads(text)["predicate"])


path, *keys = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    document = json.load(file)
if keys:
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(keys[0]))
    key = SSlibKey.from_crypto(public)
    envelope = Envelope.from_dict(document)
    accepted = envelope.verify([key], 1)
    print("verified by", len(accepted))
    statement(envelope.payload)
elif "spdxVersion" in document:
    spdx(document)
elif "bomFormat" in document:
    cyclonedx(document)
else:
    statement(json.dumps(document))
