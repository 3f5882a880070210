"""A community changes its settlement key: agreed at home, put in place by the office, then used."""

import asyncio
import json
import time
from pathlib import Path

import msgspec
import pytest

from contracts.client import SettlementChain
from coordinator.app import chain_opener
from coordinator.deploying import deploy
from coordinator.model import Community
from coordinator.refusals import ChainTrouble, ConsentUnusable
from coordinator.rotating import Consent, read_consent, rotate
from coordinator.settings import Office, Place
from node.enrolment.keys import load_keys
from node.kernel.clock import SystemClock
from node.settlement import rotation
from tests.contracts.district import CHAIN_ID, OFFICE_KEY, LocalChain
from tests.coordinator.serving import serving, until


def test_a_new_key_is_agreed_put_in_place_and_used(tmp_path: Path) -> None:
    with LocalChain(tmp_path / "chain.sqlite") as local:
        local.clock.seconds = time.time()
        asyncio.run(_rotate(tmp_path, local.url))


async def _rotate(folder: Path, url: str) -> None:
    async with serving(folder, open_chain=chain_opener(url), relay_key=OFFICE_KEY) as office:
        place = Place(folder / "office")
        configured = Office(name="District", rpc_url=url, chain_id=CHAIN_ID)
        address, _ = await asyncio.to_thread(
            deploy, office.database, office.clock, place=place, office=configured
        )
        chain = SettlementChain(url, contract_address=address, chain_id=CHAIN_ID)
        keys = (await office.admit("A")).keys

        def is_on_chain() -> bool:
            with office.database.read() as session:
                return session.get_one(Community, "A").on_chain_at is not None

        await until(is_on_chain, seconds=40)
        with pytest.raises(rotation.NoNextKey):
            rotation.adopt(keys, signer_on_chain="0x0")
        made = rotation.consent(
            keys,
            number=1,
            sequence=chain.position(1).sequence,
            now=SystemClock().now(),
            contract=address,
            chain_id=CHAIN_ID,
        )
        assert rotation.signers(keys)[1] == made["new_signer"]
        with pytest.raises(rotation.NotRotatedYet):
            rotation.adopt(keys, signer_on_chain=chain.position(1).signer)
        file = folder / "consent.json"
        file.write_text(json.dumps(made))
        consent = read_consent(file)

        def put_in_place(said: Consent) -> str:
            return rotate(office.database, place=place, office=configured, consent=said)

        swapped = msgspec.structs.replace(consent, old_signature=consent.new_signature)
        with pytest.raises(ChainTrouble, match="bad_signature"):
            await asyncio.to_thread(put_in_place, swapped)
        for _ in range(2):
            assert await asyncio.to_thread(put_in_place, consent) == "A"
        present = chain.position(1)
        assert (present.signer, present.sequence) == (made["new_signer"], 1)
        old = keys.settlement_address
        assert rotation.adopt(keys, signer_on_chain=present.signer) == present.signer
        used = load_keys(keys.folder.parent)
        assert rotation.signers(used) == (present.signer,)
        assert used.settlement_address != old
        assert len(list(keys.folder.glob("settlement.key.0x*"))) == 1, "the old one is kept"
        with office.database.read() as session:
            known = session.get_one(Community, "A").settlement_address
        assert known == used.settlement_address


def test_what_is_no_consent_is_refused(tmp_path: Path) -> None:
    good = {
        "format": "linli/rotate/v1",
        "number": 1,
        "new_signer": "0x" + "ab" * 20,
        "deadline": 1,
        "old_signature": "00" * 65,
        "new_signature": "00" * 65,
        "contract": "0x" + "cd" * 20,
        "chain_id": 1,
    }
    file = tmp_path / "consent.json"
    bad_ones: tuple[object, ...] = (
        {**good, "format": "linli/rotate/v2"},
        {**good, "new_signer": "0x12"},
        {**good, "old_signature": "00"},
        {**good, "note": "words"},
        [],
    )
    for bad in bad_ones:
        file.write_text(json.dumps(bad))
        with pytest.raises(ConsentUnusable):
            read_consent(file)
    with pytest.raises(ConsentUnusable):
        read_consent(tmp_path / "nowhere")
    file.write_text(json.dumps(good))
    assert read_consent(file).number == 1
