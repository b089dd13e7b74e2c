"""JSON, base64, times and SSH signatures, as docs/ledger-format.md asks for them."""

import base64
import datetime
import hashlib
import json
import os
import re
import subprocess

MINUTE = 60_000


class Bad(Exception):
    """What was read is not what the format says."""


def once(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise Bad("a key stands there twice")
    return dict(pairs)


def refuse(word):
    raise Bad(f"{word} is no JSON")


def depth(value):
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def parse_json(data):
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=once, parse_constant=refuse)
        if depth(value) > 64:
            raise Bad("it is nested too deep")
    except (ValueError, RecursionError) as error:
        raise Bad(f"it is no JSON: {error}") from error
    return value


def canonical(value):
    """RFC 8785. No number of a record or a state is a fraction."""
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be", "surrogatepass"))
        return "{" + ",".join(canonical(key) + ":" + canonical(value[key]) for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def decode64(text):
    text = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError as error:
        raise Bad("it is no base64") from error


def time_of(text):
    """Milliseconds since 1970 of an RFC 3339 time."""
    if not isinstance(text, str) or not re.fullmatch(
        r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text
    ):
        raise Bad(f"{text!r} is no time")
    try:
        fraction = re.search(r"\.(\d+)", text)
        whole = datetime.datetime.fromisoformat(re.sub(r"\.\d+", "", text).upper().replace("Z", "+00:00"))
    except ValueError as error:
        raise Bad(f"{text!r} is no time") from error
    millis = int((fraction.group(1) + "000")[:3]) if fraction else 0
    return int(whole.timestamp()) * 1000 + millis


def duration(text):
    units = {"d": 86_400_000, "h": 3_600_000, "m": MINUTE, "s": 1000, "ms": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)(ms|d|h|m|s)", text))


def ssh_strings(data, count):
    parts, at = [], 0
    for _ in range(count):
        size = int.from_bytes(data[at : at + 4], "big")
        if at + 4 + size > len(data):
            raise Bad("an SSH signature is cut off")
        parts.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    if at != len(data):
        raise Bad("an SSH signature has something behind it")
    return parts


def parse_sshsig(blob):
    if len(blob) > 16384 or blob[:10] != b"SSHSIG\0\0\0\1":
        raise Bad("it is no SSHSIG")
    key, namespace, reserved, algorithm, _ = ssh_strings(blob[10:], 5)
    if reserved or algorithm not in (b"sha256", b"sha512"):
        raise Bad("it is no SSHSIG as the format asks for")
    return {"key": key, "namespace": namespace.decode("utf-8", "replace"), "algorithm": algorithm.decode()}


def armor(blob):
    text = base64.b64encode(blob).decode()
    lines = "\n".join(text[at : at + 70] for at in range(0, len(text), 70))
    return f"-----BEGIN SSH SIGNATURE-----\n{lines}\n-----END SSH SIGNATURE-----\n"


class Signatures:
    """Asks ssh-keygen, and each question once."""

    def __init__(self, folder):
        self.folder = folder
        self.known = {}

    def trusted(self, line, name, namespace, at, blob, data):
        question = (line, name, namespace, at, blob, data)
        if question not in self.known:
            self.known[question] = self.ask(*question)
        return self.known[question]

    def ask(self, line, name, namespace, at, blob, data):
        for file, text in (("signers", line + "\n"), ("signature", armor(blob))):
            with open(os.path.join(self.folder, file), "w", encoding="utf-8") as out:
                out.write(text)
        command = ["ssh-keygen", "-q", "-Y", "verify", "-f", "signers", "-I", name, "-n", namespace, "-s", "signature"]
        if at is not None:
            moment = datetime.datetime.fromtimestamp(at // 1000, datetime.timezone.utc)
            command += ["-O", "verify-time=" + moment.strftime("%Y%m%d%H%M%SZ")]
        # A time without Z is UTC to headgate, and local time to ssh-keygen.
        return (
            subprocess.run(
                command,
                cwd=self.folder,
                input=data,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "TZ": "UTC"},
                check=False,
            ).returncode
            == 0
        )

    def signer(self, allowed, namespaces, at, blob, data):
        """The name of who signed, by the first line of allowed_signers that trusts the key; else None."""
        try:
            key = base64.b64encode(parse_sshsig(blob)["key"]).decode()
        except Bad:
            return None
        for line in allowed.splitlines():
            line = line.strip()
            if not line or line.startswith("#") or (key not in line and "cert-authority" not in line):
                continue
            names = line.split(None, 1)[0].strip('"').split(",")
            name = next((name for name in names if not re.search(r"[*?!]", name)), None)
            if name and any(self.trusted(line, name, space, at, blob, data) for space in namespaces):
                return name
        return None
