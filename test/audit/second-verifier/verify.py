#!/usr/bin/env python3
"""A second verifier of headgate ledgers, written from docs/ledger-format.md and docs/rules-reference.md alone.

It shares no code with headgate. Signatures are checked by ssh-keygen, git is read by git, policies by PyYAML.

    verify.py REPO [--ledger REF]... [--heads PREFIX] [--seal-key FILE]...

prints one line of JSON for each violation, {"check", "seq", "text"}, and at last {"records", "violations"}; with several
ledgers that for each, one after the other. Exit code 0: none; 77: some.
"""

import base64
import datetime
import functools
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile

import yaml

from decision import FUTURE, WAIVABLE, Decision, fold, is_zeros, parse_policy, policy_json, start
from formats import MINUTE, Bad, Signatures, canonical, decode64, parse_sshsig, sha256, time_of
from messages import is_message
from records import RECORD_BYTES, SERVER_KINDS, is_oid, pae, parse_record

ZEROS = "0" * 64
NAMESPACES = {
    "evidence": ["headgate-evidence"],
    "approval": ["headgate-approval"],
    "override": ["headgate-approval"],
    "invalidation": ["headgate-evidence", "headgate-approval"],
    "freeze": ["headgate-approval"],
    "drift": ["headgate-approval"],
    "retire": ["headgate-approval"],
}
FACTS = ["policyVersion", "staging", "onStaging", "fastForward", "identitySource", "signedBy", "approvedBy"]
BASELINE = {**dict.fromkeys(FACTS), "onStaging": False, "fastForward": True, "approvedBy": []}
# What a baseline may say, and what nobody can check.
WORDS = dict.fromkeys(["policyVersion", "allowedSigners", "referenceTransaction", "broughtBack", "pusherKeys"])


def certificate_blob(text):
    tail = text.partition("-----BEGIN SSH SIGNATURE-----")[2]
    return decode64("".join(tail.split("-----")[0].split()))


def fingerprint(key):
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def pusher_keys(allowed, names, certificate):
    """Fingerprints of all keys that are known to be the pusher's."""
    keys = [] if certificate is None else [parse_sshsig(certificate_blob(certificate))["key"]]
    for line in allowed.splitlines():
        words = line.split()
        if not words or words[0].startswith("#") or "cert-authority" in line:
            continue
        if names & set(words[0].strip('"').split(",")):
            keys.append(decode64(next(word for word in words[1:] if word.startswith("AAAA"))))
    return sorted({fingerprint(key) for key in keys})


class Git:
    def __init__(self, folder):
        self.command = ["git", "-C", folder]
        self.env = {**os.environ, "GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": "/dev/null", "LC_ALL": "C"}
        self.known = {}
        self.made = {}
        self.readers = {}
        self.changed = {}

    def run(self, *arguments, check=True, data=None):
        done = subprocess.run([*self.command, *arguments], env=self.env, capture_output=True, input=data, check=False)
        if check and done.returncode:
            raise Bad(f"git {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
        return done.stdout if done.returncode == 0 else None

    def changes(self, commit, parents):
        """What a commit changes, by paths; ledgers that were forged from one have most commits in common."""
        if (commit, *parents) not in self.changed:
            arguments = ["diff-tree", "-r", "-z", "--no-commit-id", "--no-renames", *parents[:1], commit]
            if not parents:
                arguments.insert(1, "--root")
            parts = self.run(*arguments).decode("utf-8", "surrogateescape").split("\0")[:-1]
            self.changed[commit, *parents] = {path: change.split() for change, path in zip(parts[::2], parts[1::2])}
        return self.changed[commit, *parents]

    def commit(self, name):
        out = self.run("rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}", check=False)
        return out.decode().strip() if out else None

    def ask(self, mode, name):
        """What git cat-file says of a name, by one process for each mode: type, size and, by --batch, the content."""
        if mode not in self.readers:
            self.readers[mode] = subprocess.Popen(
                [*self.command, "cat-file", mode], env=self.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        reader = self.readers[mode]
        reader.stdin.write(name.encode("utf-8", "surrogateescape") + b"\n")
        reader.stdin.flush()
        answer = reader.stdout.readline().split()
        if len(answer) != 3 or answer[-1] == b"missing":
            return None, 0, b""
        size = int(answer[2])
        return answer[1].decode(), size, reader.stdout.read(size + 1)[:-1] if mode == "--batch" else b""

    def kind(self, oid):
        return self.ask("--batch-check", oid)[0]

    def size(self, oid):
        return self.ask("--batch-check", oid)[1]

    def contains(self, oid, other):
        """Whether the history of oid has other in it."""
        if (oid, other) not in self.known:
            self.known[oid, other] = self.run("merge-base", "--is-ancestor", other, oid, check=False) is not None
        return self.known[oid, other]

    def code(self, commit, log):
        """All files but the release log, with their modes."""
        files = self.run("ls-tree", "-r", "-z", "--full-tree", commit).decode("utf-8", "surrogateescape").split("\0")
        return [file for file in files if not (file.startswith("100") and file.partition("\t")[2] == log)]

    def file(self, name):
        kind, _, content = self.ask("--batch", name)
        return content if kind == "blob" else None

    def raw(self, oid):
        """The bytes of any object, of those that were made here, too."""
        return self.made.get(oid) or self.ask("--batch", oid)[2]

    def oid(self, kind, body):
        data = b"%s %d\0" % (kind.encode(), len(body)) + body
        return (hashlib.sha256(data) if self.is_sha256 else hashlib.sha1(data)).hexdigest()

    @functools.cached_property
    def is_sha256(self):
        return self.run("rev-parse", "--show-object-format").strip() == b"sha256"

    def with_file(self, tree, path, blob):
        """The id of a tree with a file put in, as git writes trees."""
        body, size = self.raw(tree) if tree else b"", 32 if self.is_sha256 else 20
        entries = re.findall(rb"(\d+) ([^\0]+)\0(.{%d})" % size, body, re.DOTALL)
        name, mode = path[0].encode(), b"100644"
        if len(path) > 1:
            mode = b"40000"
            old = next((oid.hex() for its, known, oid in entries if (its, known) == (mode, name)), None)
            blob = self.with_file(old or None, path[1:], blob)
        kept = [entry for entry in entries if entry[:2] != (mode, name)]
        kept.append((mode, name, bytes.fromhex(blob)))
        kept.sort(key=lambda entry: entry[1] + (b"/" if entry[0] == b"40000" else b""))
        return self.write("tree", b"".join(b"%s %s\0%s" % entry for entry in kept))

    def write(self, kind, body):
        oid = self.oid(kind, body)
        self.made[oid] = body
        return oid

    def close(self):
        for reader in self.readers.values():
            reader.stdin.close()
            reader.stdout.close()
            reader.wait()


class Audit:
    def __init__(self, git, ledger, heads, seal_keys, signatures):
        self.git, self.ledger, self.heads, self.signatures = git, ledger, heads, signatures
        self.seal_keys = seal_keys
        self.findings, self.records = [], []

    def find(self, check, seq, text):
        self.findings.append({"check": check, "seq": seq, "text": text})

    def run(self):
        out = self.git.run("rev-parse", "--verify", "--quiet", "--end-of-options", self.ledger, check=False)
        tip = out.decode().strip() if out else None
        if tip is None or self.git.kind(tip) != "commit":
            self.find("record", None, f"{self.ledger} is no ledger commit")
            return self.findings
        commits = [
            line.split()
            for line in self.git.run("rev-list", "--reverse", "--topo-order", "--parents", tip).decode().splitlines()
        ]
        self.state, self.whole = start(), True
        self.policies, self.policy, self.latest = [], None, 0
        self.former = []
        previous, last = ZEROS, None
        for seq, (commit, *parents) in enumerate(commits, 1):
            if parents != ([last] if last else []):
                self.find("record", seq, "the commit is not on top of the one before")
                self.whole = False
            last = commit
            try:
                record = self.read(seq, commit, parents)
            except Bad as error:
                self.find("record", seq, str(error))
                self.whole, previous = False, None
                continue
            if record["seq"] != seq or (previous is not None and record["previous"] != previous):
                self.find("chain", seq, "it does not follow the record before")
                self.whole = False
            previous = record["hash"]
            self.judge(record, commit)
            self.records.append(record)
        if not self.records:
            self.find("record", None, "there is no record")
        if self.whole:
            self.branches()
        return self.findings

    def read(self, seq, commit, parents):
        self.changes = self.git.changes(commit, parents)
        entries = [path for path in self.changes if path.startswith("entries/")]
        if len(entries) != 1 or self.changes[entries[0]][4] != "A" or self.changes[entries[0]][1] != "100644":
            raise Bad("the commit does not add exactly one record")
        oid = self.changes[entries[0]][3]
        if self.git.size(oid) > RECORD_BYTES:
            raise Bad("it is too large")
        self.blob = oid
        record = parse_record(self.git.file(oid))
        place = f"entries/{record['about'][:2]}/{record['about'][2:]}/{record['seq']:08d}-{record['kind']}.json"
        if entries[0] != place:
            raise Bad(f"it lies in {entries[0]}, not in {place}")
        self.entry = place
        return record

    def judge(self, record, commit):
        self.seal(record)
        self.sign(record)
        if not self.whole:
            # Signatures are still checked, by the keys that came with the policies.
            if record["kind"] == "policy":
                self.policies.append(record)
            return
        before = self.state
        self.clock(record)
        try:
            if record["kind"] == "policy":
                self.apply(record)
            elif self.policy is None:
                self.find("policy", record["seq"], "no policy is in force")
            elif record["kind"] == "authorization":
                self.replay(record)
            elif record["kind"] == "outcome":
                self.outcome(record)
            else:
                self.statement(record)
        except Bad as error:
            self.find("statement", record["seq"], str(error))
        self.state = fold(before, record)
        self.tree(record, commit)

    def seal(self, record):
        blob, seq = decode64(record["seal"]), record["seq"]
        try:
            sig = parse_sshsig(blob)
        except Bad as error:
            record["sealer"] = None
            return self.find("seal", seq, str(error))
        record["sealer"] = sig["key"]
        if not self.seal_keys:
            self.seal_keys = [sig["key"]]
        if sig["algorithm"] != "sha512" or sig["key"] not in self.seal_keys:
            return self.find("seal", seq, "it is not sealed by a key that is known")
        later = [self.seal_keys.index(other["sealer"]) for other in self.records if other["sealer"] in self.seal_keys]
        if later and self.seal_keys.index(sig["key"]) < max(later):
            self.find("seal", seq, "it is sealed by a key that was replaced before")
        if not self.by_key(sig["key"], blob, record["sealed"]):
            self.find("seal", seq, "the seal does not hold")

    def by_key(self, key, blob, data):
        size = int.from_bytes(key[:4], "big")
        kind = key[4 : 4 + size].decode("ascii", "replace")
        line = f'seal namespaces="headgate-ledger" {kind} {base64.b64encode(key).decode()}'
        return self.signatures.trusted(line, "seal", "headgate-ledger", None, blob, data)

    def sign(self, record):
        record["signer"], data = None, pae(record["envelope"])
        blobs = [decode64(signature["sig"]) for signature in record["envelope"]["signatures"]]
        if record["kind"] in SERVER_KINDS:
            if not any(
                parse_sshsig(blob)["key"] == record["sealer"] and self.by_key(record["sealer"], blob, data)
                for blob in blobs
            ):
                self.find("signature", record["seq"], "the server did not sign it")
            return
        allowed = self.policies[-1]["said"]["allowedSigners"]["text"] if self.policies else ""
        for blob in blobs:
            record["signer"] = self.signatures.signer(allowed, NAMESPACES[record["kind"]], record["time"], blob, data)
            if record["signer"]:
                record["key"] = parse_sshsig(blob)["key"]
                return
        self.find("signature", record["seq"], "nobody who is trusted for it signed it")

    def clock(self, record):
        now = datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000
        if record["time"] < self.latest - FUTURE or record["time"] > now + FUTURE:
            self.find("clock", record["seq"], "the clock was wrong")
        self.latest = max(self.latest, record["time"])

    def apply(self, record):
        said, seq = record["said"], record["seq"]
        if said["version"] != len(self.policies) + 1:
            self.find("policy", seq, "it has not the next version")
        for file in (said["policy"], said["allowedSigners"]):
            if sha256(file["text"].encode()) != file["digest"]["sha256"]:
                self.find("policy", seq, "a text has not its digest")
        key = said["sealKey"].split()
        if len(key) < 2 or decode64(key[1]) != record["sealer"]:
            self.find("seal", seq, "its sealKey did not seal it")
        before = self.policy
        try:
            self.policy = parse_policy(said["policy"]["text"])
            if self.policy["repository"] != record["repository"]:
                self.find("policy", seq, "it is for another repository")
        except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
            self.find("policy", seq, f"it does not parse: {error}")
        own = self.named(self.policy)
        kept = [branch for branch in [*self.former, *self.named(before)] if branch not in own]
        told = [(entry["role"], entry["ref"]) for entry in said.get("former", [])]
        if "former" in said and not set(kept) <= set(told):
            self.find("policy", seq, f"it takes {set(kept) - set(told)} out of the guard")
        self.former = list(dict.fromkeys([*kept, *(branch for branch in told if branch not in own)]))
        self.policies.append(record)

    def named(self, policy):
        return [(role, policy[role]) for role in ("staging", "release")] if policy else []

    def statement(self, record):
        said, kind, policy, now, seq = record["said"], record["kind"], self.policy, record["time"], record["seq"]

        def must(holds, text):
            if not holds:
                self.find("statement", seq, text)

        must(record["repository"] == policy["repository"], "it is for another repository")
        must(
            record["signer"] is None
            or not any(
                other["envelope"]["payload"] == record["envelope"]["payload"] and other["signer"] == record["signer"]
                for other in self.records
            ),
            "the same statement stands there already",
        )
        if kind == "evidence":
            must(said["headgate"]["environment"] in policy["environments"], "there is no such environment")
            must(time_of(said["headgate"]["finishedAt"]) <= now + FUTURE, "it is from the future")
            return
        must(time_of(said["issuedAt"]) <= now + FUTURE, "it is from the future")
        if kind in ("approval", "override"):
            must(said["ref"] == policy["release"], "it is for another branch")
            must(now < time_of(said["expiresAt"]), "it had expired")
        if record["signer"] and kind == "approval":
            must(record["signer"] in policy["approvers"], "the signer is no approver")
        if record["signer"] and kind in ("override", "freeze", "drift", "retire"):
            must(record["signer"] in policy["operators"], "the signer is no operator")
        if kind == "override":
            must(set(said["waives"]) <= WAIVABLE, "it waives what cannot be waived")
        if kind == "retire":
            branch = {"role": said["role"], "ref": said["ref"]}
            must(branch in self.state.get("former", []), "there is no such former branch")
            must(said["ref"] != policy[said["role"]], "the branch is in use")
            self.former = [other for other in self.former if other != (said["role"], said["ref"])]
        if kind == "drift":
            landed = self.state["landed"].get(said["ref"])
            must(said["ref"] == policy["release"], "it is for another branch")
            must(
                (landed["to"] if landed else "0" * len(said["expected"])) == said["expected"],
                "another commit was expected",
            )
            must(said["found"] != said["expected"], "there was no drift")

    def outcome(self, record):
        said, seq = record["said"], record["seq"]
        move = next((move for move in self.state["open"] if move["seq"] == said["authorization"]), None)
        if move is None:
            return self.find("outcome", seq, "it closes nothing that is open")
        if record["about"] != move["to"]:
            self.find("outcome", seq, "it is about another commit")
        if (said["observed"] == move["to"]) != (said["result"] == "landed"):
            self.find("outcome", seq, "what was observed does not fit the result")
        authorization = next(other for other in self.records if other["seq"] == move["seq"])
        if said["result"] == "landed":
            names = self.permissions(authorization)
            for other in self.records:
                if other["kind"] == "authorization" and other.get("landed") and names & self.permissions(other):
                    self.find("approval", move["seq"], f"it rests on what {other['seq']} used")
            authorization["landed"] = True

    def permissions(self, authorization):
        names = {entry["digest"]["sha256"] for entry in authorization["said"]["inputAttestations"]}
        return {
            record["name"]
            for record in self.records
            if record["kind"] in ("approval", "override") and record["name"] in names
        }

    def replay(self, record):
        said, seq, policy = record["said"], record["seq"], self.policy
        move, in_force = said["urn:headgate:move"], self.policies[-1]
        facts = move["facts"]

        def must(holds, text, check="replay"):
            if not holds:
                self.find(check, seq, text)

        must(not any(other["ref"] == move["ref"] for other in self.state["open"]), "another move was open", "outcome")
        for name in FACTS:
            must(name in facts, f"it does not say {name}")
        must("pushCertificate" in move, "it does not say whether there was a push certificate")
        facts = {**dict.fromkeys(FACTS), **facts}
        must(facts["policyVersion"] == in_force["said"]["version"], "it names another policy")
        must(
            said["policy"]["digest"]["sha256"] == in_force["said"]["policy"]["digest"]["sha256"],
            "it names another policy",
        )
        if "allowedSigners" in facts or "former" in in_force["said"]:
            digest = in_force["said"]["allowedSigners"]["digest"]["sha256"]
            must(facts.get("allowedSigners") == digest, "it names other allowed_signers")
        must(said["policy"].get("uri") == ".headgate/policy.yaml", "it names another policy")
        must(move["enforcement"] == policy["enforcement"], "the policy says another enforcement")
        must(move["ref"] == policy["release"], "it is no move of the release branch")
        must(record["repository"] == policy["repository"], "it is for another repository")
        must(said["resourceUri"] == "git+https://" + policy["repository"], "it has another resourceUri")
        must(said["verifier"]["id"] == "urn:headgate:server:v1", "it has another verifier")
        must(time_of(said["timeVerified"]) == record["time"], "it was decided at another time")
        must((move["pusher"] or "unidentified") == record["by"], "pusher and `by` differ")
        must(record["about"] == move["to"], "it is about another commit")
        if move["kind"] == "bootstrap":
            must(self.records[-1]["kind"] == "policy", "a baseline does not follow a policy")
            must(is_zeros(move["from"]) and move["ref"] not in self.state["landed"], "there was a release already")
            must(not is_zeros(move["to"]), "a baseline is nowhere")
            must(said["verificationResult"] == "PASSED", "a baseline did not pass")
            for value in (said["inputAttestations"], said["verifiedLevels"], move["objections"], move["pushOptions"]):
                must(value == [], "a baseline rests on nothing")
            must(move.get("pushCertificate") is None, "a baseline has no certificate")
            must({**facts, **WORDS} == {**BASELINE, **WORDS}, "nothing is said of a baseline")
            return
        source = facts["identitySource"]
        known = isinstance(source, str) and re.fullmatch(r"env:[A-Z_][A-Z0-9_]{0,99}|ssh-auth-info|push-cert", source)
        must(source is None or known, "there is no such source of names")
        staging = facts["staging"]
        must(staging is None or (is_oid(staging) and not is_zeros(staging)), "staging is no commit")
        staging = staging if is_oid(staging) else None
        on_staging = staging is not None and self.git.contains(staging, move["to"])
        must(facts["onStaging"] == on_staging, "onStaging is not what the commits say")
        forward = is_zeros(move["from"]) or (not is_zeros(move["to"]) and self.git.contains(move["to"], move["from"]))
        must(facts["fastForward"] == forward, "fastForward is not what the commits say")
        brought_back = []
        if "broughtBack" in facts or "former" in in_force["said"]:
            brought_back = self.brought_back(move, policy)
            must(facts.get("broughtBack") == brought_back, f"it brings back {brought_back}")
        signed = self.certificate(record, move, facts)
        names = {signed, move["pusher"] if facts["identitySource"] is not None else None} - {None}
        keys = pusher_keys(in_force["said"]["allowedSigners"]["text"], names, signed and move["pushCertificate"])
        if "pusherKeys" in facts:
            must(facts["pusherKeys"] == keys, f"the pusher's keys are {keys}")
        decision = Decision(
            {
                "ref": move["ref"], "from": move["from"], "to": move["to"], "pusher": move["pusher"],
                "identitySource": facts["identitySource"], "onStaging": on_staging, "fastForward": forward,
                "isCommit": self.git.kind(move["to"]) == "commit", "signedBy": signed,
                "broughtBack": brought_back, "pushOptions": move["pushOptions"],
                "certificate": move.get("pushCertificate"), "asksForUrls": "allowedSigners" in facts,
                "pusherKeys": keys if "pusherKeys" in facts else None,
            },
            policy, self.state, [other for other in self.records if other["about"] == move["to"]], record["time"],
        ).decide()  # fmt: skip
        if move["enforcement"] == "enforce" and not decision["allowed"]:
            # What else differs, only follows from that.
            return must(False, f"the rules refuse it: {decision['rules']}")
        must(move["kind"] == decision["kind"], f"it is a {decision['kind']}")
        names = [entry["digest"]["sha256"] for entry in said["inputAttestations"]]
        must(names == decision["rests"], f"it rests on other envelopes: {names} {decision['rests']}")
        must(facts["approvedBy"] == decision["approvedBy"], f"it was approved by {decision['approvedBy']}")
        must(said["verifiedLevels"] == decision["levels"], "verifiedLevels is not what was proved")
        must((said["verificationResult"] == "PASSED") == decision["allowed"], "verificationResult is not the verdict")
        rules = sorted((entry["rule"], entry["waived"]) for entry in move["objections"])
        must(rules == decision["rules"], f"the rules object otherwise: {decision['rules']}")

    def brought_back(self, move, policy):
        """Of the barred commits: those that the move goes to in other clothes, and those that it ships."""
        if self.git.kind(move["to"]) != "commit":
            return []
        code = self.git.code(move["to"], policy["releaseLog"])
        before = None if is_zeros(move["from"]) else self.git.code(move["from"], policy["releaseLog"])
        found = []
        for bar in [bar["commit"] for bar in self.state["bars"] if bar["commit"] != move["to"]][-100:]:
            shipped = self.git.contains(move["to"], bar) and (
                is_zeros(move["from"]) or not self.git.contains(move["from"], bar)
            )
            same = code != before and self.git.code(bar, policy["releaseLog"]) == code
            if same and self.git.contains(move["to"], bar):
                found.append({"commit": bar, "how": "same-code"})
            elif shipped:
                found.append({"commit": bar, "how": "contained"})
        return found

    def certificate(self, record, move, facts):
        text, seq = move.get("pushCertificate"), record["seq"]
        if text is None:
            if facts["signedBy"] is not None:
                self.find("replay", seq, "signedBy without a certificate")
            return None
        head, mark, tail = text.partition("-----BEGIN SSH SIGNATURE-----")
        try:
            blob = decode64("".join((mark + tail).split("-----")[2].split()))
        except (Bad, IndexError):
            self.find("replay", seq, "the push certificate cannot be read")
            return None
        allowed = self.policies[-1]["said"]["allowedSigners"]["text"]
        signer = self.signatures.signer(allowed, ["git"], record["time"], blob, head.encode())
        nonce = re.search(r"^nonce (\d+)-", head, re.MULTILINE)
        if signer is None or nonce is None or abs(int(nonce.group(1)) * 1000 - record["time"]) > 15 * MINUTE:
            self.find("replay", seq, "the push certificate does not hold")
            return None
        if f"{move['from']} {move['to']} {move['ref']}" not in head.splitlines():
            self.find("replay", seq, "the push certificate is for something else")
        options = re.findall(r"^push-option (.*)$", head.split("\n\n")[0], re.MULTILINE)
        if [option[:4096] for option in options[:16]] != move["pushOptions"]:
            self.find("replay", seq, "other push options were signed")
        if facts["signedBy"] != signer:
            self.find("replay", seq, f"{signer} signed the push certificate")
        if facts["identitySource"] == "push-cert" and move["pusher"] != signer:
            self.find("replay", seq, "the pusher is not who signed")
        return signer

    def tree(self, record, commit):
        changed, seq, told = set(self.changes), record["seq"], len(self.findings)
        state = canonical({"head": {"seq": seq, "hash": record["hash"]}, "state": self.state}) + "\n"
        files = {"state.json": state.encode()}
        if record["kind"] == "policy":
            for name, file in (("policy.yaml", "policy"), ("allowed_signers", "allowedSigners")):
                text = record["said"][file]["text"].encode()
                files |= {f"policies/{record['said']['version']}/{name}": text, name: text}
            json = f"policies/{record['said']['version']}/policy.json"
            # An older headgate wrote none.
            if json in changed and self.policy is not None:
                files[json] = policy_json(self.policy).encode()
            # What is as it was is no change.
            changed |= {path for path in files if self.git.file(f"{commit}:{path}") == files[path]}
        for path, text in files.items():
            if self.git.file(f"{commit}:{path}") != text:
                self.find("state" if path == "state.json" else "tree", seq, f"{path} is not what the record says")
        if changed != {self.entry, *files} or any(change[1] != "100644" for change in self.changes.values()):
            self.find("tree", seq, f"the commit changes {sorted(changed ^ {self.entry, *files})}")
        raw = self.git.raw(commit)
        tree, head = re.match(rb"tree ([0-9a-f]+)\n((?:parent [0-9a-f]+\n)*)", raw).groups()
        parent = head.split()[1].decode() if head else None
        below = self.git.raw(parent)[5 : 5 + len(tree)].decode() if parent else None
        for path, oid in {**{path: self.git.oid("blob", text) for path, text in files.items()}, self.entry: self.blob}.items():
            below = self.git.with_file(below, path.split("/"), oid)
        if below != tree.decode() and len(self.findings) == told:
            self.find("tree", seq, "the tree is not in the form that its files have")
        who = f"headgate <headgate@localhost> {record['time'] // 1000} +0000"
        start = b"tree " + tree + b"\n" + head + f"author {who}\ncommitter {who}\n\n".encode()
        lines = raw[len(start) :].decode("utf-8", "replace").split("\n")
        if not raw.startswith(start) or not is_message(lines, record, self.state):
            self.find("message", seq, "author, time or message is not that of the record")

    def branches(self):
        if self.policy is None:
            return
        staging = self.git.commit(self.local(self.policy["staging"]))
        branches = [self.policy["staging"], *(ref for role, ref in self.former if role == "staging")]
        first = None
        for ref, seen in self.sightings().items():
            first = first or next((oid for seq, oid in seen if seq == 1), None)
            now = [(None, self.git.commit(self.local(ref)))] if ref in branches else []
            for (seq, old), (until, new) in zip(seen, [*seen[1:], *now]):
                if new is None or not (self.git.contains(new, old) or self.only_evaluated(seq, until)):
                    self.find("staging-ref", seq, f"{new} does not contain {old}")
        for role, ref in self.former:
            landed = self.state["landed"].get(ref)
            named = [seq for seq, policy in self.texts() if policy["release"] == ref]
            if (
                role == "release"
                and self.git.commit(self.local(ref)) != (landed["to"] if landed else None)
                and not self.only_evaluated(max(named, default=0), None)
            ):
                self.find("release-ref", None, f"{ref} is not where it was left")
        release, ref = self.git.commit(self.local(self.policy["release"])), self.policy["release"]
        landed = self.state["landed"].get(ref)
        places = [landed["to"] if landed else None, *(move["to"] for move in self.state["open"] if move["ref"] == ref)]
        if release not in places:
            self.find("release-ref", None, f"{ref} is at {release}")
        if staging:
            self.release_log(staging, first)

    def texts(self):
        """The policies, each with its record's number."""
        return [(record["seq"], parse_policy(record["said"]["policy"]["text"])) for record in self.policies]

    def only_evaluated(self, seq, until):
        """Whether no policy in force from record `seq` on, and before `until`, refused anything."""
        texts = self.texts()
        begun = max((number for number, _ in texts if number <= seq), default=0)
        return all(
            policy["enforcement"] == "evaluate"
            for number, policy in texts
            if number >= begun and (until is None or number < until)
        )

    def excused(self, staging):
        """Commits of the staging branch that came while a policy only evaluated."""
        marks = [
            (record["about"], policy["enforcement"])
            for record, (_, policy) in zip(self.policies, self.texts())
            if policy["staging"] == self.policy["staging"] and not is_zeros(record["about"])
        ]
        commits = set()
        for (tip, enforcement), (end, _) in zip(marks, [*marks[1:], (staging, None)]):
            if enforcement == "evaluate":
                commits |= set(self.git.run("rev-list", "--first-parent", end, "--not", tip).decode().split())
        return commits

    def sightings(self):
        """Where each branch that was the staging branch was seen, by whom: number of the record and commit."""
        seen, ref = {}, None
        for record in self.records:
            if record["kind"] == "policy":
                ref = parse_policy(record["said"]["policy"]["text"])["staging"]
            oid = self.staging_of(record)
            if is_oid(oid) and not is_zeros(oid):
                seen.setdefault(ref, []).append((record["seq"], oid))
        return seen

    def local(self, ref):
        return self.heads + ref[len("refs/heads/") :]

    def staging_of(self, record):
        if record["kind"] == "policy":
            return record["about"]
        if record["kind"] == "authorization":
            return record["said"]["urn:headgate:move"]["facts"].get("staging")
        return None

    def release_log(self, staging, first):
        path = self.policy["releaseLog"]
        span = [staging, "--not", first] if first else [staging]
        commits = self.git.run("rev-list", "--first-parent", "--reverse", *span).decode().split()
        before, excused = self.git.file(f"{first}:{path}") if first else None, self.excused(staging)
        for commit in commits:
            after = self.git.file(f"{commit}:{path}")
            mode = (self.git.run("ls-tree", commit, "--", path).decode().split() or [None])[0]
            if commit not in excused and before is not None and (
                after is None
                or not after.startswith(before)
                or (
                    before
                    and before[-1:] != b"\n"
                    and after != before
                    and after[len(before) : len(before) + 1] != b"\n"
                )
            ):
                self.find("release-log", None, f"{commit} edits or shortens {path}")
            if mode not in (None, "100644", "100755"):
                self.find("release-log", None, f"{commit} makes something else of {path}")
            before = after
        landed = {record["seq"]: record for record in self.records if record.get("landed")}
        text, named = (before or b"").decode("utf-8", "replace"), set()
        for entry in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]:
            title = re.match(r"## .*: (promotion|rollback|override)", entry)
            if not title:
                continue
            said = dict(re.findall(r"^- ([A-Z][A-Za-z -]*): (.*)$", entry, re.MULTILINE))
            number = said.get("Ledger record", "")
            number = int(number) if number.isdigit() else None
            record = landed.get(number)
            if record is None:
                self.find("release-log", number, f"an entry names record {number!r}, which is no landed move")
                continue
            if number in named:
                self.find("release-log", number, "it has two entries")
            named.add(number)
            move = record["said"]["urn:headgate:move"]
            waived = dict.fromkeys(entry["rule"] for entry in move["objections"] if entry["waived"])
            wanted = {
                "Commit": f"`{move['to']}`",
                "From": None if is_zeros(move["from"]) else f"`{move['from']}`",
                "Date": record["at"],
                "Operator": record["by"],
                "Waived rules": ", ".join(waived) or None,
                "Approved by": ", ".join(move["facts"]["approvedBy"]) or None,
            }
            if title.group(1) != move["kind"] or any(plain(said.get(name)) != value for name, value in wanted.items()):
                self.find("release-log", record["seq"], "its entry says something else")


def plain(text):
    """What stands in an entry, without what keeps it from being markup."""
    if text is None:
        return None
    text = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)
    return re.sub(r"&#x([0-9a-f]+);", lambda found: chr(int(found.group(1), 16)), text)


def main(arguments):
    options = {"--ledger": ["refs/headgate/ledger"], "--heads": ["refs/heads/"], "--seal-key": []}
    repository = arguments[0]
    for name, value in zip(arguments[1::2], arguments[2::2]):
        options[name].append(value)
    keys = []
    for file in options["--seal-key"]:
        with open(file, encoding="utf-8") as text:
            keys += [decode64(line.split()[1]) for line in text if line.strip()]
    violations = 0
    with tempfile.TemporaryDirectory() as folder:
        git, signatures = Git(repository), Signatures(folder)
        for ledger in options["--ledger"][1:] or options["--ledger"]:
            audit = Audit(git, ledger, options["--heads"][-1], list(keys), signatures)
            findings = audit.run()
            for finding in findings:
                print(json.dumps(finding))
            print(json.dumps({"records": len(audit.records), "violations": len(findings)}))
            violations += len(findings)
        git.close()
    return 77 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
