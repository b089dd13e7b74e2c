"""The policy, the fold over the records, and the decision: docs/rules-reference.md."""

import base64
import hashlib
import json
import unicodedata
from urllib.parse import urlsplit

import yaml

from formats import MINUTE, canonical, duration, sha256, time_of

FUTURE = 5 * MINUTE
WAIVABLE = {"on-staging", "fast-forward", "evidence", "served-commit", "known-good", "approval", "barred", "frozen", "note"}


def parse_policy(text):
    value = yaml.safe_load(text)
    promotion, rollback = value["promotion"], value.get("rollback") or {}
    evidence, environments = value.get("evidence") or {}, value["environments"]
    production = "production" in environments
    return {
        "repository": value["repository"],
        "staging": "refs/heads/" + value["staging"],
        "release": "refs/heads/" + value["release"],
        "enforcement": value.get("enforcement", "enforce"),
        "releaseLog": value.get("releaseLog", "docs/RELEASE_LOG.md"),
        "maxAge": duration(evidence.get("maxAge", "24h")),
        "servedCommit": evidence.get("servedCommit", "required"),
        "operators": promotion["operators"],
        "signedPush": promotion.get("signedPush", "if-offered"),
        "notes": promotion.get("notes", "optional"),
        "approvers": rollback.get("approvers", promotion["operators"]),
        "approvals": rollback.get("approvals", 1),
        "approverMayPush": rollback.get("approverMayPush", True),
        "approvalMaxAge": duration(rollback.get("approvalMaxAge", "1h")),
        "target": rollback.get("target", "smoke-passed" if production else "landed"),
        "bar": rollback.get("bar", "commit"),
        "environments": {
            name: {
                "digest": sha256(canonical(environment).encode()),
                "urls": list(dict.fromkeys(base_url(url) for url in [environment["url"], *environment.get("urls", [])])),
                "gates": [
                    {"name": gate["name"], "optional": gate.get("optional", False)} for gate in environment["gates"]
                ],
                "required": [gate["name"] for gate in environment["gates"] if not gate.get("optional", False)],
            }
            for name, environment in environments.items()
        },
    }


def policy_json(policy):
    """What decides moves, as the ledger keeps it beside the text."""
    names = ("repository", "enforcement", "releaseLog")
    value = {
        "form": 1,
        **{name: policy[name] for name in names},
        **{name: policy[name][len("refs/heads/") :] for name in ("staging", "release")},
        "evidence": {"maxAgeMs": policy["maxAge"], "servedCommit": policy["servedCommit"]},
        "promotion": {name: policy[name] for name in ("operators", "signedPush", "notes")},
        "rollback": {
            "approvalMaxAgeMs": policy["approvalMaxAge"],
            **{name: policy[name] for name in ("approvers", "approvals", "approverMayPush", "target", "bar")},
        },
        "environments": {
            name: {
                "name": name,
                "configurationDigest": environment["digest"],
                **{key: environment[key] for key in ("urls", "gates")},
            }
            for name, environment in policy["environments"].items()
        },
    }
    return canonical(value) + "\n"


def base_url(text):
    """Origin and path prefix, as headgate spells them."""
    parts = urlsplit(text)
    port = "" if parts.port in (None, {"http": 80, "https": 443}[parts.scheme.lower()]) else f":{parts.port}"
    return f"{parts.scheme.lower()}://{parts.hostname}{port}{parts.path.rstrip('/')}"


def is_zeros(oid):
    return set(oid) == {"0"}


def start():
    return {"policies": [], "landed": {}, "counts": {}, "open": [], "bars": [], "freeze": None}


def keep(state, former):
    state.pop("former", None)
    if former:
        state["former"] = former


def fold(state, record):
    state = json.loads(json.dumps(state))
    said, kind = record["said"], record["kind"]
    if kind == "policy":
        state["policies"].append({"version": said["version"], "seq": record["seq"]})
        if "former" in said:
            keep(state, [{"role": entry["role"], "ref": entry["ref"]} for entry in said["former"]])
    elif kind == "retire":
        gone = {"role": said["role"], "ref": said["ref"]}
        keep(state, [entry for entry in state.get("former", []) if entry != gone])
    elif kind == "authorization":
        move = said["urn:headgate:move"]
        state["open"].append({
            "seq": record["seq"], "kind": move["kind"], "ref": move["ref"], "from": move["from"], "to": move["to"],
            "fastForward": move["facts"].get("fastForward") is not False, "at": record["at"], "by": record["by"],
        })  # fmt: skip
    elif kind == "outcome":
        move = next((move for move in state["open"] if move["seq"] == said["authorization"]), None)
        if move is None:
            return state
        state["open"].remove(move)
        if said["result"] == "landed":
            state["landed"][move["ref"]] = {**move, "at": record["at"]}
            state["counts"][move["kind"]] = state["counts"].get(move["kind"], 0) + 1
            if not move["fastForward"] and not is_zeros(move["from"]) and not is_zeros(move["to"]):
                state["bars"] = [bar for bar in state["bars"] if bar["commit"] != move["from"]]
                state["bars"].append({"commit": move["from"], "seq": record["seq"], "at": record["at"]})
    elif kind == "freeze":
        old = state["freeze"]
        if old is None or time_of(said["issuedAt"]) >= time_of(old["issuedAt"]):
            state["freeze"] = {"seq": record["seq"], "until": said["until"], "reason": said["reason"],
                               "by": record["by"], "issuedAt": said["issuedAt"]}  # fmt: skip
    elif kind == "drift":
        if is_zeros(said["found"]):
            state["landed"].pop(said["ref"], None)
        else:
            state["landed"][said["ref"]] = {
                "seq": record["seq"], "kind": "drift", "ref": said["ref"], "from": said["expected"],
                "to": said["found"], "fastForward": True, "at": record["at"], "by": record["by"],
            }  # fmt: skip
    return state


def signed_text(certificate):
    """What the signature of a push certificate covers: nothing of the armor."""
    return None if certificate is None else certificate.split("-----BEGIN SSH SIGNATURE-----")[0]


# Of the characters that show nothing those that Unicode calls neither blanks nor controls (Default_Ignorable_Code_Point).
IGNORABLE = {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10)}


def shows(character):
    code = ord(character)
    return unicodedata.category(character)[0] not in "ZC" and code not in IGNORABLE and not 0xE0000 <= code < 0xE1000


def ended(run):
    """When a run ended: at the latest when it was recorded."""
    return min(time_of(run["said"]["headgate"]["finishedAt"]), time_of(run["at"]))


class Decision:
    """One move, decided again from the records before it."""

    def __init__(self, facts, policy, state, about, now):
        self.facts, self.policy, self.state, self.about, self.now = facts, policy, state, about, now
        self.objections = []  # (rule, waivable)

    def object(self, rule, waivable=None):
        self.objections.append((rule, rule in WAIVABLE if waivable is None else waivable))

    def spent(self):
        """What is signed in the envelopes that an earlier move rests on, unless it did not land."""
        lost = {}
        for record in self.about:
            if record["kind"] == "outcome":
                lost.setdefault(record["said"]["authorization"], record["said"]["result"] == "not-landed")
        names = {
            entry["digest"]["sha256"]
            for record in self.about
            if record["kind"] == "authorization" and not lost.get(record["seq"], False)
            for entry in record["said"]["inputAttestations"]
        }
        return {record["envelope"]["payload"] for record in self.about if record["name"] in names}

    def runs(self, environment):
        """Trusted runs that no invalidation voids, newest first."""
        runs = [
            record
            for record in self.about
            if record["kind"] == "evidence"
            and record["signer"]
            and record["repository"] == self.policy["repository"]
            and record["said"]["headgate"]["environment"] == environment
            and time_of(record["said"]["headgate"]["finishedAt"]) <= self.now + FUTURE
            and self.is_there(record["said"]["headgate"].get("baseUrl"), environment)
        ]
        voids = [record for record in self.about if record["kind"] == "invalidation" and record["signer"]]

        def void(run):
            return any(
                ended(run) <= time_of(note["said"]["issuedAt"])
                or (run["seq"] < note["seq"] and not self.failed(run, environment))
                for note in voids
            )

        runs = [run for run in runs if not void(run)]
        return sorted(runs, key=lambda run: (ended(run), run["seq"]), reverse=True)

    def is_there(self, url, environment):
        if not self.facts["asksForUrls"]:
            return True
        try:
            return url is None or base_url(url) in self.policy["environments"].get(environment, {"urls": ()})["urls"]
        except (ValueError, KeyError):
            return False

    def failed(self, run, environment):
        said = run["said"]
        required = self.policy["environments"].get(environment, {"required": []})["required"]
        outcomes = {gate["name"]: gate["outcome"] for gate in said["headgate"]["gates"]}
        return said["result"] == "FAILED" or any(
            outcomes.get(name) == "failed" or name in (said.get("failedTests") or []) for name in required
        )

    def shows_gates(self, run, environment="staging"):
        said = run["said"]
        outcomes = {gate["name"]: gate["outcome"] for gate in said["headgate"]["gates"]}
        return all(
            name in (said.get("passedTests") or []) and outcomes.get(name) == "passed"
            for name in self.policy["environments"][environment]["required"]
        )

    def configured(self, run):
        name = ".headgate/policy.yaml#environments.staging"
        digests = [entry["digest"]["sha256"] for entry in run["said"]["configuration"] if entry["name"] == name]
        return digests == [self.policy["environments"]["staging"]["digest"]]

    def served(self, run):
        served = run["said"]["headgate"].get("servedCommit") or {}
        both, need = [served.get("before"), served.get("after")], self.policy["servedCommit"]
        if need == "ignore":
            return True
        if need == "if-reported":
            both = [value for value in both if value is not None]
        return all(value == self.facts["to"] for value in both)

    def not_cut_off(self):
        kept = []
        for run in self.runs("staging"):
            if self.failed(run, "staging"):
                break
            kept.append(run)
        return kept

    def proves(self, run):
        return self.configured(run) and self.shows_gates(run) and ended(run) > self.now - self.policy["maxAge"]

    def evidence(self):
        """The run that the rule looks at: the one that counts or, where none does, the newest that is not voided."""
        proving = [run for run in self.not_cut_off() if self.proves(run)]
        served = [run for run in proving if self.served(run)]
        if not proving:
            self.object("evidence")
        elif not served:
            self.object("served-commit")
        return next(iter([*served, *proving, *self.runs("staging")]), None)

    def approvals(self):
        counted, spent = [], self.spent()
        for record in self.about:
            if (
                record["kind"] == "approval"
                and record["signer"]
                and self.permits(record, spent)
                and record["signer"] in self.policy["approvers"]
                and (self.policy["approverMayPush"] or not self.pushes(record))
                and not any(record[same] == other[same] for other in counted for same in ("signer", "key"))
            ):
                counted.append(record)
        return counted

    def pushes(self, record):
        """Whether an approver also pushes: by name, or by a key that is the pusher's."""
        if record["signer"] == self.facts["pusher"]:
            return True
        if self.facts["pusherKeys"] is None:
            return False
        key = "SHA256:" + base64.b64encode(hashlib.sha256(record["key"]).digest()).decode().rstrip("=")
        return record["signer"] == self.facts["signedBy"] or key in self.facts["pusherKeys"]

    def permits(self, record, spent):
        said = record["said"]
        return (
            record["repository"] == self.policy["repository"]
            and (said["ref"], said["from"], said["to"]) == (self.facts["ref"], self.facts["from"], self.facts["to"])
            and record["envelope"]["payload"] not in spent
            and time_of(said["issuedAt"]) <= self.now + FUTURE
            and self.now < time_of(said["expiresAt"])
            and self.now - time_of(said["issuedAt"]) < self.policy["approvalMaxAge"]
        )

    def overrides(self):
        spent = self.spent()
        return [
            record
            for record in self.about
            if record["kind"] == "override"
            and record["signer"] in self.policy["operators"]
            and self.permits(record, spent)
        ]

    def known_good(self):
        landed = {
            record["said"]["authorization"]
            for record in self.about
            if record["kind"] == "outcome" and record["said"]["result"] == "landed"
        }
        if not any(
            record["kind"] == "authorization"
            and record["seq"] in landed
            and record["said"]["urn:headgate:move"]["ref"] == self.facts["ref"]
            for record in self.about
        ):
            return False
        if self.policy["target"] == "landed":
            return True
        return any(
            run["said"]["result"] != "FAILED"
            and all(
                value in (None, self.facts["to"])
                for value in (run["said"]["headgate"].get("servedCommit") or {}).values()
            )
            for run in self.runs("production")
        )

    def barred(self, rollback):
        bars = {bar["commit"]: bar for bar in self.state["bars"]}
        own = bars.get(self.facts["to"])
        if own is not None and not self.proved_since(own, rollback):
            return True
        for back in self.facts["broughtBack"]:
            if back["how"] == "same-code":
                if not ((own or rollback) and self.proved_since(bars[back["commit"]], rollback)):
                    return True
            elif self.policy["bar"] == "descendants" and not rollback and not self.despite(back["commit"]):
                return True
        return False

    def despite(self, commit):
        named = [option[12:] for option in self.facts["pushOptions"] if option.startswith("despite-bar=")]
        return any(len(name) >= 7 and commit.startswith(name) for name in named)

    def proved_since(self, bar, rollback):
        counts = self.shows_gates if rollback else self.proves
        return any(
            counts(run) and self.served(run) and time_of(run["said"]["headgate"]["startedAt"]) > time_of(bar["at"])
            for run in self.not_cut_off()
        )

    def operator(self):
        pusher, signed = self.facts["pusher"], self.facts["signedBy"]
        if self.facts["identitySource"] is None or pusher not in self.policy["operators"]:
            return False
        if signed is not None and signed_text(self.facts["certificate"]) in self.used_certificates():
            return False
        if self.policy["signedPush"] == "ignore":
            return True
        if signed is None:
            return self.policy["signedPush"] != "required"
        return signed == pusher

    def has_note(self):
        notes = [option[5:] for option in self.facts["pushOptions"] if option.startswith("note=")]
        return any(shows(character) for note in notes for character in note)

    def used_certificates(self):
        moves = [record["said"]["urn:headgate:move"] for record in self.about if record["kind"] == "authorization"]
        return [signed_text(move.get("pushCertificate")) for move in moves if move["ref"] == self.facts["ref"]]

    def judge_commit(self, rollback):
        """What only makes sense for a commit. The records that the move would rest on."""
        if not self.facts["onStaging"]:
            self.object("on-staging")
        if not rollback:
            proof = self.evidence()
            return [] if proof is None else [proof]
        approved, good = self.approvals(), self.known_good()
        enough = len(approved) >= self.policy["approvals"]
        if not (enough and good):
            self.object("fast-forward")
        if not good:
            self.object("known-good")
        if not enough:
            self.object("approval")
        return approved

    def decide(self):
        facts, rests = self.facts, []
        deletion = is_zeros(facts["to"])
        rollback = deletion or (facts["isCommit"] and not facts["fastForward"])
        if deletion:
            self.object("release-delete")
        elif facts["isCommit"]:
            rests = self.judge_commit(rollback)
        else:
            self.object("commit-object")
        if self.barred(rollback):
            self.object("barred")
        freeze = self.state["freeze"]
        if not rollback and freeze and self.now < time_of(freeze["until"]):
            self.object("frozen")
        landed = self.state["landed"].get(facts["ref"])
        if (landed["to"] if landed else "0" * len(facts["from"])) != facts["from"]:
            self.object("drift")
        if not self.operator():
            self.object("operator")
        if not rollback and self.policy["notes"] == "required" and not self.has_note():
            self.object("note")
        return self.verdict(rollback, rests)

    def verdict(self, rollback, rests):
        kind, approved = ("rollback", rests) if rollback else ("promotion", [])
        overrides = self.overrides() if self.objections else []
        waives = {rule for record in overrides for rule in record["said"]["waives"]}
        if "evidence" in waives:
            waives.add("served-commit")
        if overrides:
            waives.add("note")
        waived = {rule for rule, waivable in self.objections if waivable and rule in waives}
        allowed = all(rule in waived for rule, _ in self.objections)
        if self.objections:
            rests = sorted([*rests, *overrides], key=lambda record: record["seq"]) if allowed else []
            approved = overrides if allowed else []
            kind = "override" if allowed else kind
        unproved = {"evidence", "served-commit", "on-staging", "known-good"} & waived
        return {
            "kind": kind,
            "allowed": allowed,
            "rests": [record["name"] for record in rests],
            "approvedBy": [record["signer"] for record in approved],
            "levels": ["ORG_SOURCE_STAGING_PROVED"] if allowed and not unproved else [],
            "rules": sorted((rule, rule in waived) for rule, _ in self.objections),
        }
