"""Rounds in which the office sees the sum of all updates and none of them: two trips each.

The trips that agree on keys are done once, before the first round. A node that is lost at any
moment is left out of the sum; one that comes back takes part in the next round. What is left to
check of a sum is its length: honest nodes bound their updates, so a mean beyond the bound means
that somebody did not.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, RecordDict

from federation.asking import Asking
from federation.errors import ForecastError, RoundTooSmall
from federation.plain_rounds import as_record
from federation.plan import Gathered, Plan
from federation.secagg import fixed_point
from federation.secagg.adverts import MEMBERS_MIN, SignedAdvert, claimed, least_quorum, verified
from federation.secagg.primitives import Words
from federation.secagg.refusals import SumImplausible
from federation.secagg.total import SecureSum
from federation.updates import NUMBERS, fingerprint, moved, norm_bound
from federation.weights import Weights

SHARE_GRACE_SECONDS = 3.0  # a few shares more than the quorum mend one that is wrong
NORM_TOLERANCE = 1e-3  # quantisation and rounding
NOISE_REACH = 1.2  # of its usual length: what honest noise may add to a mean


@dataclass
class SecureRounds:
    """One run's secure sum over Flower's messages."""

    asking: Asking
    plan: Plan
    run_config: Mapping[str, Any]
    node_of: dict[str, int] = field(default_factory=dict)  # community -> Flower's node
    has_boxes: set[str] = field(default_factory=set)
    total: SecureSum | None = None

    @property
    def quorum(self) -> int:
        return self.total.quorum if self.total else 0

    @property
    def members(self) -> int:
        return len(self.total.roster.adverts) if self.total else 0

    def agree(self) -> None:
        """Once per run: everybody's keys to everybody, everybody's shares to the office's post."""
        needed = max(self.plan.min_nodes, MEMBERS_MIN)
        nodes = self.asking.wait_for_nodes(
            needed, limit_seconds=self.plan.wait_timeout_seconds, round_number=1
        )
        adverts = self._adverts(nodes, needed)
        self.total = SecureSum(list(adverts.values()))
        offered = self.total.offered
        question = ConfigRecord(
            {
                "payloads": [one.payload for one in offered],
                "signatures": [one.signature for one in offered],
                "quorum": self.total.quorum,
            }
        )
        enough = max(self.plan.min_nodes, self.total.quorum)
        answers = self.asking.ask(
            {self.node_of[name]: RecordDict({"config": question}) for name in adverts},
            kind="train.share",
            enough=enough,
            limit_seconds=self.plan.step_timeout_seconds,
        )
        for community in adverts:
            content = answers.sound.get(self.node_of[community])
            if content is None:
                continue
            try:
                self.total.take_boxes(community, _pairs(content, "receivers", "boxes"))
            except ForecastError as error:
                answers.problems.append(str(error))
        self._require(1, len(self.total.dealers), enough, answers.reason)

    def _adverts(self, nodes: Sequence[int], needed: int) -> dict[str, SignedAdvert]:
        question = RecordDict({"config": ConfigRecord({"rounds": self.plan.rounds})})
        answers = self.asking.ask(
            dict.fromkeys(nodes, question),
            kind="train.advertise",
            enough=max(needed, least_quorum(len(nodes))),  # who is late now misses the whole run
            limit_seconds=self.plan.step_timeout_seconds,
        )
        adverts: dict[str, SignedAdvert] = {}
        for node, content in sorted(answers.sound.items()):
            config = content.config_records.get("config", ConfigRecord())
            payload, signature = config.get("payload"), config.get("signature")
            if not isinstance(payload, bytes) or not isinstance(signature, bytes):
                answers.problems.append(f"Node {node} sent no keys.")
                continue
            offered = SignedAdvert(payload, signature)
            try:
                community = self._named_by(offered)
            except ForecastError as error:
                answers.problems.append(str(error))
                continue
            if community in adverts:
                answers.problems.append(f"Two nodes speak for {community}.")
                continue
            adverts[community] = offered
            self.node_of[community] = node
        self._require(1, len(adverts), needed, answers.reason)
        return adverts

    def _named_by(self, offered: SignedAdvert) -> str:
        """Whose keys these are. The nodes check it again: a false advert would stop them all."""
        members = self.plan.members
        advert = verified(offered, members=members) if members else claimed(offered)
        return advert.community

    def gather(self, round_number: int, weights: Weights) -> Gathered:
        """One round with every dealer who is online; too few of them end the run."""
        assert self.total is not None, "the run agrees on keys before its first round"
        online = set(self.asking.online())
        participants = [name for name in self.total.dealers if self.node_of[name] in online]
        needed = max(self.plan.min_nodes, self.total.quorum)
        self._require(round_number, len(participants), needed, "The others are not there.")
        masked, said = self._masked(round_number, weights, participants, needed)
        self._require(round_number, len(masked), needed, said)
        shares, said = self._shares(round_number, list(masked))
        self._require(round_number, len(shares), self.total.quorum, said)
        words = self.total.unmasked(
            round_number,
            masked,
            shares,
            participants=participants,
            about=fingerprint(weights, self.run_config),
        )
        norm_max = norm_bound(
            self.plan.recipe, round_number=round_number, factor=self.plan.norm_factor
        )
        noise = NOISE_REACH * self.plan.noise_multiplier * math.sqrt(NUMBERS) / self.total.quorum
        reach = norm_max * (1 + noise)
        found = _checked(round_number, words, members=len(masked), norm_max=reach)
        return Gathered(
            weights=moved(weights, found.mean),
            loss=found.loss,
            asked=len(participants),
            took_part=len(masked),
            clipped=found.clipped,
            norm_max=norm_max,
        )

    def _masked(
        self, round_number: int, weights: Weights, participants: Sequence[str], needed: int
    ) -> tuple[dict[str, Words], str]:
        """The masked updates that came in time, and why others did not."""
        assert self.total is not None, "see gather"
        record = as_record(weights)
        questions: dict[int, RecordDict] = {}
        for community in participants:
            boxes = {} if community in self.has_boxes else self.total.boxes_for(community)
            config = ConfigRecord(
                {
                    "server-round": round_number,
                    "participants": list(participants),
                    "senders": list(boxes),
                    "boxes": list(boxes.values()),
                }
            )
            content = RecordDict({"arrays": record, "config": config})
            questions[self.node_of[community]] = content
        answers = self.asking.ask(
            questions,
            kind="train.mask",
            enough=needed,
            limit_seconds=self.plan.round_timeout_seconds,
        )
        length = NUMBERS + fixed_point.COUNTERS
        masked: dict[str, Words] = {}
        for community in participants:
            content = answers.sound.get(self.node_of[community], RecordDict())
            words = _words(content, length)
            if words is not None:
                masked[community] = words
                self.has_boxes.add(community)
        return masked, answers.reason

    def _shares(
        self, round_number: int, survivors: list[str]
    ) -> tuple[dict[str, dict[str, bytes]], str]:
        """The shares that free the sum of the survivors, by who gave them."""
        config = ConfigRecord({"server-round": round_number, "survivors": survivors})
        answers = self.asking.ask(
            {self.node_of[name]: RecordDict({"config": config}) for name in survivors},
            kind="train.unmask",
            enough=self.quorum,
            limit_seconds=self.plan.step_timeout_seconds,
            grace_seconds=min(SHARE_GRACE_SECONDS, self.plan.grace_seconds),
        )
        shares = {
            name: _pairs(answers.sound[self.node_of[name]], "owners", "shares")
            for name in survivors
            if self.node_of[name] in answers.sound
        }
        return shares, answers.reason

    def _require(self, round_number: int, results: int, needed: int, reason: str) -> None:
        if results < needed:
            raise RoundTooSmall(round=round_number, results=results, needed=needed, reason=reason)


def _checked(
    round_number: int, words: Words, *, members: int, norm_max: float
) -> fixed_point.Total:
    """The sum as a mean change, if honest nodes can have made it."""
    found = fixed_point.decoded(words, members=members)
    if found is None:
        raise SumImplausible(round=round_number, reason="its numbers are out of bounds")
    norm = float(np.linalg.norm(found.mean))
    if norm > norm_max * (1 + NORM_TOLERANCE):
        reason = f"its length of {norm:.3g} is beyond the bound of each, {norm_max:.3g}"
        raise SumImplausible(round=round_number, reason=reason)
    return found


def _pairs(content: RecordDict, names: str, values: str) -> dict[str, bytes]:
    """Bytes by community from a reply; what is not of that form is left out."""
    config = content.config_records.get("config", ConfigRecord())
    keys, items = config.get(names), config.get(values)
    if not isinstance(keys, list) or not isinstance(items, list):
        return {}
    return {
        key: item
        for key, item in zip(keys, items, strict=False)
        if isinstance(key, str) and isinstance(item, bytes)
    }


def _words(content: RecordDict, length: int) -> Words | None:
    """The masked words of a reply, if it brings as many as were asked for."""
    record = content.array_records.get("arrays")
    if record is None or set(record) != {"masked"}:
        return None
    words = record["masked"].numpy()
    if words.dtype != np.uint64 or words.shape != (length,):
        return None
    return words
