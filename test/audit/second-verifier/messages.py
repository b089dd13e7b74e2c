"""The messages of ledger commits: docs/ledger-format.md, "The git ledger"."""

import re

from formats import time_of


def is_message(lines, record, state):
    wanted = [
        subject(record, state),
        "",
        f"seq: {record['seq']}",
        f"by: {record['by']}",
        f"record: {record['hash']}",
        lines[-2] if len(lines) > 1 and re.fullmatch("append: [0-9a-f]{16}", lines[-2]) else "append",
        "",
    ]
    return len(lines) == len(wanted) and all(map(is_text, lines, wanted))


def is_text(line, text):
    """Whether a line is a text with escapes for what could fool a terminal, cut off where that was too long."""
    cut = len(line) >= 190 and line.endswith("...")
    if cut:
        line = re.sub(r"\\(x[0-9a-f]?|u(\{[0-9a-f]*)?)?$", "", line[:-3])
    return unescape(text).startswith(unescape(line)) if cut else unescape(line) == unescape(text)


def unescape(text):
    return re.sub(
        r"\\x([0-9a-f]{2})|\\u\{(10[0-9a-f]{4}|[0-9a-f]{3,5})\}",
        lambda found: chr(int(found.group(1) or found.group(2), 16)),
        text,
    )


def subject(record, state):
    said, kind, by = record["said"], record["kind"], record["by"]
    at, short = record["about"][:7], lambda oid: oid[:7]
    branch = lambda ref: ref.removeprefix("refs/heads/")
    if kind == "evidence":
        return f"evidence {at} {said['result'].lower()} on {said['headgate']['environment']}"
    if kind == "approval":
        return f"approval to roll {branch(said['ref'])} back from {short(said['from'])} to {short(said['to'])}"
    if kind == "override":
        return f"OVERRIDE for {at} waives {', '.join(said['waives'])}: {said['reason']}"
    if kind == "invalidation":
        return f"evidence {at} invalidated: {said['reason']}"
    if kind == "freeze":
        ends = time_of(said["until"]) <= time_of(said["issuedAt"])
        return f"unfreeze: {said['reason']}" if ends else f"freeze until {said['until']}: {said['reason']}"
    if kind == "drift":
        change = f"from {short(said['expected'])} to {short(said['found'])}"
        return f"drift of {branch(said['ref'])} {change} accepted: {said['reason']}"
    if kind == "retire":
        return f"{branch(said['ref'])} retired: {said['reason']}"
    if kind == "authorization":
        return authorized(said["urn:headgate:move"], by)
    if kind == "outcome":
        number = said["authorization"]
        move = next((move for move in state["landed"].values() if move["seq"] == number), None)
        if said["result"] == "landed" and move:
            return f"{move['kind']} {at} landed, by {move['by']}"
        return f"{at} {'landed' if said['result'] == 'landed' else 'did not land'}, authorization {number}"
    return f"policy version {said['version']} applied, by {by}"


def authorized(move, by):
    start = "" if set(move["from"]) == {"0"} else f" from {move['from'][:7]}"
    tolerated = move["enforcement"] == "evaluate" and not all(entry["waived"] for entry in move["objections"])
    end = " (evaluate mode: would be refused)" if tolerated else ""
    return f"{move['kind']} {move['to'][:7]} authorized on {move['ref'].removeprefix('refs/heads/')}{start}, by {by}{end}"
