"""Records, envelopes and statements: docs/ledger-format.md, from "Statements" to "Records"."""

import base64
import re

from formats import Bad, canonical, decode64, parse_json, parse_sshsig, sha256, time_of

RECORD_BYTES = 1 << 20
SERVER_KINDS = {"authorization", "outcome", "policy"}
PREDICATES = {
    "https://in-toto.io/attestation/test-result/v0.1": "evidence",
    "urn:headgate:approval:v1": "approval",
    "urn:headgate:override:v1": "override",
    "urn:headgate:invalidation:v1": "invalidation",
    "urn:headgate:freeze:v1": "freeze",
    "urn:headgate:drift:v1": "drift",
    "urn:headgate:retire:v1": "retire",
    "https://slsa.dev/verification_summary/v1": "authorization",
    "urn:headgate:outcome:v1": "outcome",
    "urn:headgate:policy:v1": "policy",
}


def pae(envelope):
    kind, payload = envelope["payloadType"].encode(), decode64(envelope["payload"])
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def is_text(most, least=0):
    return lambda value: (
        isinstance(value, str) and least <= len(value.encode("utf-16-be", "surrogatepass")) // 2 <= most
    )


def is_time(value):
    try:
        time_of(value)
    except Bad:
        return False
    return True


def is_oid(value):
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", value) is not None


def is_hash(value):
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def is_whole(value):
    """`34`, `34.0` and `3.4e1` are one number; beyond what a double holds exactly there are no whole ones."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and abs(value) < 1 << 53 and value == int(value)


def is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < float("inf")


def is_bool(value):
    return isinstance(value, bool)


def one_of(*words):
    return lambda value: isinstance(value, str) and value in words


def list_of(check, most=1 << 20, least=0):
    return lambda value: isinstance(value, list) and least <= len(value) <= most and all(map(check, value))


def no(check):
    """A field that may be missing or null."""
    check = check or (lambda _: True)
    return lambda value: value is None or check(value)


def is_branch(value):
    return is_text(1024, 1)(value) and re.fullmatch(r"refs/heads/\S+", value) is not None


def fields(**checks):
    def check(value):
        return isinstance(value, dict) and all(ok(value.get(name.replace("__", ":"))) for name, ok in checks.items())

    return check


def field_map(checks):
    return lambda value: isinstance(value, dict) and all(ok(value.get(name)) for name, ok in checks.items())


PROSE, REASON = is_text(4096), is_text(4096, 1)
DIGEST = fields(sha256=is_hash)
GATES = list_of(is_text(200, 1), 1000)
PERMISSION = {
    "ref": is_text(1024, 1), "from": is_oid, "to": is_oid, "reason": REASON, "issuedAt": is_time, "expiresAt": is_time,
    "nonce": is_text(200, 8), "trigger": no(PROSE), "symptoms": no(PROSE),
}  # fmt: skip
FILE = fields(text=is_text(1 << 20), digest=DIGEST)
SHAPES = {
    "evidence": fields(
        result=one_of("PASSED", "WARNED", "FAILED"),
        configuration=list_of(fields(name=is_text(1024), digest=DIGEST), 16, 1),
        passedTests=no(GATES), warnedTests=no(GATES), failedTests=no(GATES), url=no(is_text(2048)),
        headgate=fields(
            environment=one_of("staging", "production"), startedAt=is_time, finishedAt=is_time,
            servedCommit=no(fields(before=no(is_text(200)), after=no(is_text(200)))),
            gates=list_of(fields(
                name=is_text(200, 1), outcome=one_of("passed", "failed", "skipped"), status=no(is_whole),
                durationMs=no(is_number), reason=no(PROSE), attempts=no(is_whole),
            ), 1000),
            baseUrl=no(is_text(2048)), runner=no(PROSE),
        ),
    ),
    "approval": field_map(PERMISSION),
    "override": field_map({**PERMISSION, "waives": list_of(is_text(200, 1), 32, 1)}),
    "invalidation": fields(reason=REASON, issuedAt=is_time),
    "freeze": fields(until=is_time, reason=REASON, issuedAt=is_time),
    "drift": fields(ref=is_text(1024, 1), expected=is_oid, found=is_oid, reason=REASON, issuedAt=is_time),
    "retire": fields(
        role=one_of("staging", "release"), ref=is_branch, found=is_oid, reason=REASON, issuedAt=is_time,
    ),
    "authorization": field_map({
        "verifier": fields(id=is_text(1024)), "timeVerified": is_time, "resourceUri": is_text(1024),
        "policy": fields(digest=DIGEST), "inputAttestations": list_of(fields(digest=DIGEST)),
        "verificationResult": one_of("PASSED", "FAILED"), "verifiedLevels": list_of(is_text(200)),
        "urn:headgate:move": field_map({
            "kind": one_of("promotion", "rollback", "override", "bootstrap"), "ref": is_text(1024, 1), "from": is_oid,
            "to": is_oid, "pusher": no(is_text(256)), "enforcement": one_of("enforce", "evaluate"),
            "facts": fields(),
            "objections": list_of(fields(rule=is_text(200), found=is_text(1 << 20), waived=is_bool)),
            "pushOptions": list_of(is_text(4096), 16), "pushCertificate": no(is_text(1 << 20)),
        }),
    }),
    "outcome": fields(authorization=is_whole, result=one_of("landed", "not-landed"), observed=is_oid),
    "policy": fields(version=is_whole, policy=FILE, allowedSigners=FILE, sealKey=is_text(1024),
        former=no(list_of(fields(role=one_of("staging", "release"), ref=is_branch), 1000)),
    ),
}  # fmt: skip


def parse_statement(envelope):
    value = parse_json(decode64(envelope["payload"]))
    if not isinstance(value, dict) or value.get("_type") != "https://in-toto.io/Statement/v1":
        raise Bad("it is no in-toto statement")
    subject, kind = value.get("subject"), PREDICATES.get(value.get("predicateType"))
    if not list_of(fields(name=is_text(1024), digest=fields(gitCommit=is_oid)), 1, 1)(subject):
        raise Bad("its subject is not one commit")
    if kind is None or not SHAPES[kind](value.get("predicate")):
        raise Bad(f"it is no statement of its kind ({kind})")
    said = value["predicate"]
    if kind == "policy" and said.get("former", []) is None:
        raise Bad("`former` is null")
    if kind == "evidence":
        check_evidence(said)
    if kind in ("approval", "override") and said["to"] != subject[0]["digest"]["gitCommit"]:
        raise Bad("its subject is not its `to`")
    return {"kind": kind, "about": subject[0]["digest"]["gitCommit"], "repository": subject[0]["name"], "said": said}


def check_evidence(said):
    own = said["headgate"]
    lists = [name for key in ("passedTests", "warnedTests", "failedTests") for name in said.get(key) or []]
    outcomes = {gate["name"]: gate["outcome"] for gate in own["gates"]}
    if time_of(own["finishedAt"]) < time_of(own["startedAt"]):
        raise Bad("it ended before it began")
    if len(set(lists)) != len(lists) or len(outcomes) != len(own["gates"]):
        raise Bad("a gate stands there twice")
    if said["result"] == "PASSED" and said.get("failedTests"):
        raise Bad("it passed with a failed gate")
    if any(outcomes.get(name, "passed") != "passed" for name in said.get("passedTests") or []):
        raise Bad("a gate that passed did not")
    if any(outcomes.get(name) == "passed" for name in said.get("failedTests") or []):
        raise Bad("a gate that failed passed")


def parse_record(data):
    if len(data) > RECORD_BYTES:
        raise Bad("it is too large")
    value = parse_json(data)
    if not isinstance(value, dict) or sorted(value) != ["at", "by", "envelope", "previous", "seal", "seq"]:
        raise Bad("it has not the keys of a record")
    if not (
        is_whole(value["seq"]) and value["seq"] > 0 and is_hash(value["previous"]) and is_text(256, 1)(value["by"])
    ):
        raise Bad("a field is not as it should be")
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", str(value["at"])) or time_of(value["at"]) < 0:
        raise Bad("`at` is not as it should be")
    check_envelope(value["envelope"])
    if not isinstance(value["seal"], str) or base64.b64encode(decode64(value["seal"])).decode() != value["seal"]:
        raise Bad("the seal is not as it should be")
    if canonical(value).encode("utf-8", "surrogatepass") != data:
        raise Bad("it is not in its one form")
    sealed = {key: value[key] for key in value if key != "seal"}
    return {**value, **parse_statement(value["envelope"]), "hash": sha256(data), "time": time_of(value["at"]),
            "sealed": canonical(sealed).encode(), "name": sha256(canonical(value["envelope"]).encode())}  # fmt: skip


def check_envelope(envelope):
    if not isinstance(envelope, dict) or sorted(envelope) != ["payload", "payloadType", "signatures"]:
        raise Bad("it has not the keys of an envelope")
    if envelope["payloadType"] != "application/vnd.in-toto+json" or not isinstance(envelope["payload"], str):
        raise Bad("it is no envelope")
    signatures = envelope["signatures"]
    if not isinstance(signatures, list) or not 1 <= len(signatures) <= 16:
        raise Bad("it has no signatures")
    keys = []
    for signature in signatures:
        if (
            not isinstance(signature, dict)
            or not set(signature) <= {"sig", "keyid"}
            or not is_text(1 << 16)(signature.get("sig"))
        ):
            raise Bad("a signature is not as it should be")
        keyid = signature.get("keyid", "")
        if not is_text(255)(keyid) or not keyid.isprintable():
            raise Bad("a keyid is not as it should be")
        keys.append(parse_sshsig(decode64(signature["sig"]))["key"])
    if len(set(keys)) != len(keys):
        raise Bad("two signatures are by one key")
    for text in [envelope["payload"], *(signature["sig"] for signature in signatures)]:
        if base64.b64encode(decode64(text)).decode() != text:
            raise Bad("base64 in another alphabet than the standard one")
