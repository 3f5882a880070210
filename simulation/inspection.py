"""All books of the district side by side: every day, and once more when nothing is on its way."""

from collections.abc import Sequence
from dataclasses import dataclass

from node.ledger.audit import audit_ledger
from node.settlement.service import audit_receipts
from simulation.history import History
from simulation.scenario import LIAR
from simulation.settlement_chain import SimulatedChain
from simulation.town import Town
from simulation.witness import Receipts

_OPEN_OR_OVER = {"accepted", "expired"}
POSSIBLE_AT_HOME = {
    "presented": {"unbound", "accepted", "expired"},
    "accepted": _OPEN_OR_OVER,
    "delivered": _OPEN_OR_OVER,
    "confirmed": {"accepted", "captured", "expired"},
    "captured": {"captured"},
    "released": {"unbound", "accepted", "released", "expired"},
    "refused": {"unbound", "expired"},
}
"""What a pass may be at home while its visit is so at the host."""


@dataclass(frozen=True)
class Inspection:
    """Compares what communities and chain say, and tells the history what does not fit."""

    towns: Sequence[Town]
    receipts: Receipts
    chain: SimulatedChain
    history: History

    def daily(self) -> None:
        """Replay every journal, and compare what two communities say of one exchange."""
        for town in self.towns:
            if not town.is_up:
                continue
            town.witness.after_restart()
            with town.database.read() as session:
                audit, problem = audit_ledger(session), audit_receipts(session)
            if not audit.ok or problem:
                words = f"{town.name}: {audit.problem or problem}"
                self.history.violated("audit_failed", words)
        self._compare_exchanges()

    def _compare_exchanges(self) -> None:
        """Home and host do not contradict each other about any exchange, whatever is on its way."""
        passes = {town.name: town.witness.pass_states() for town in self.towns}
        for town in self.towns:
            for exchange, (home_name, state) in town.witness.visits().items():
                if home_name == LIAR:
                    continue
                at_home = passes[home_name].get(exchange, "unbound")
                if at_home not in POSSIBLE_AT_HOME[state]:
                    words = (
                        f"visit {exchange[:8]} is {state} at {town.name}, "
                        f"its pass is {at_home} at {home_name}"
                    )
                    self.history.violated("sides_contradict", words)

    def final(self) -> None:
        """Nothing is on its way: positions mirror each other, the chain equals the books."""
        clearing = {town.name: town.witness.clearing() for town in self.towns}
        for one in clearing:
            for other in clearing:
                if one < other and clearing[one][other] != -clearing[other][one]:
                    words = (
                        f"{one} shows {clearing[one][other]} for {other}, "
                        f"{other} shows {clearing[other][one]} for {one}"
                    )
                    self.history.violated("positions_differ", words)
        self._compare_disputes()
        halves = self.receipts.debts.keys() ^ self.receipts.credits.keys()
        for exchange in sorted(halves):
            debt = self.receipts.debts.get(exchange) or self.receipts.credits[exchange]
            if LIAR not in (debt.debtor, debt.creditor):
                words = f"{exchange[:8]}: only one side has {debt}"
                self.history.violated("minutes_lost", words)
        if sum(self.chain.balances().values()) != 0:
            self.history.violated("chain_sum", "the chain's balances do not sum to zero")

    def _compare_disputes(self) -> None:
        """Both sides tell the same end of every dispute, and what was judged has gone back."""
        found = {town.name: town.witness.disputes() for town in self.towns}
        back = {town.name: town.witness.reversed_minutes() for town in self.towns}
        for name, disputes in found.items():
            for row_id, here in disputes.items():
                if here.peer == LIAR:
                    continue
                there = found[here.peer].get(row_id)
                words = f"dispute {row_id[:8]} is {here} at {name}, {there} at {here.peer}"
                if there is None or (here.state, here.verdict) != (there.state, there.verdict):
                    self.history.violated("disputes_differ", words)
                elif here.state != "judged" and here.agrees_with(there):
                    self.history.violated("verdict_ignored", words)
                is_owed = here.verdict and not here.refusal and not (there and there.refusal)
                if is_owed and back[name].get(here.exchange) != here.verdict:
                    self.history.violated("verdict_not_carried_out", words)
