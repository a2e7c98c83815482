"""The budget's arithmetic, against the figures that the providers and the papers state."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from duplex.config import ConfigError
from eval import budget
from eval.__main__ import main
from eval.budget import Bill, Prices, System, Talk, bill, codes_per_s, context_minutes, cost_usd, kv_bytes, systems

HALF = Talk(user_share=0.5, agent_share=0.5)


def test_moshi_is_212_codes_and_12_positions_a_second() -> None:
    moshi = systems()["moshi"]
    assert codes_per_s(moshi, HALF) == 212.5 and moshi.positions_hz == 12.5
    assert budget.bits_per_s(moshi) == 1100
    assert context_minutes(moshi, HALF) == 4.0
    assert codes_per_s(moshi, HALF) == codes_per_s(
        moshi, Talk(user_share=0.0, agent_share=0.1)
    )  # silence costs the same


def test_kv_grows_until_the_context_is_full() -> None:
    moshi = systems()["moshi"]
    assert kv_bytes(moshi, 1.0) == round(6.25 * 2**20)
    assert kv_bytes(moshi, 240.0) == kv_bytes(moshi, 3600.0) == (1500 * 2**20)


def test_realtime_context_lasts_half_an_hour_of_even_talk() -> None:
    assert context_minutes(systems()["openai-realtime"], HALF) == pytest.approx(31.36)


def test_what_is_sent_again_is_counted_turn_by_turn() -> None:
    """Three turns of 10 s a side at 10 and 20 tokens a second: before turn 2 lie 300 tokens, before turn 3 600."""
    api = System("api", "made up", user_hz=10, agent_hz=20, resends=True)
    talk = Talk(minutes=1, user_share=0.5, agent_share=0.5, turns_per_minute=3, instructions=7)
    assert bill(api, talk) == Bill(new_audio_in=300, resent=900, audio_out=600, text_in=21, text_out=0)
    assert bill(replace(api, context=407), talk).resent == 300 + 400  # what is truncated is not sent
    assert bill(replace(api, resends=False), talk).resent == 0
    prices = Prices("2026-01-01", text_in=1.0, audio_in=10.0, cached_in=2.0, audio_out=100.0)
    paid = replace(api, prices=prices)
    assert cost_usd(paid, talk) == pytest.approx((21 + 1200 * 10 + 600 * 100) / 1e6)
    assert cost_usd(paid, talk, cached=1.0) == pytest.approx((21 + 300 * 10 + 900 * 2 + 600 * 100) / 1e6)


def test_an_unknown_price_is_none_and_never_nothing() -> None:
    known = systems()
    assert cost_usd(known["gpt-live"], HALF) is None and codes_per_s(known["gpt-live"], HALF) is None
    assert cost_usd(known["gemini-live"], HALF) is not None
    assert cost_usd(known["gemini-live"], HALF, cached=1.0) is None  # it publishes none for cached audio
    assert cost_usd(known["moshi"], HALF) is None
    by_minute = replace(known["gpt-live"], prices=Prices("2026-01-01", session_minute=0.05))
    assert cost_usd(by_minute, Talk(minutes=20)) == pytest.approx(1.0)


def test_a_hosted_cascade_pays_for_minutes_and_characters() -> None:
    talk = Talk(minutes=10, user_share=0.5, agent_share=0.5, words_per_minute=150, characters_per_word=6)
    assert cost_usd(systems()["cascade-hosted"], talk) == pytest.approx(5 * 0.0048 + 4500 * 30 / 1e6)
    assert codes_per_s(systems()["cascade"], talk) == 0


def test_any_moshi_config_is_a_system() -> None:
    shape = {"dep_q": 8, "card": 512, "context": 375, "num_layers": 6, "dim": 256}
    nano = budget.of_config(shape, dtype_bytes=4, source="test")
    assert codes_per_s(nano, HALF) == 212.5 and budget.bits_per_s(nano) == 900
    assert kv_bytes(nano, 1e6) == 2 * 6 * 256 * 4 * 375


def test_played_of_generated() -> None:
    assert budget.played_efficiency(200, 150) == 0.75 and budget.played_efficiency(0, 0) is None


def test_every_price_has_a_date_and_every_system_a_source() -> None:
    for name, system in systems().items():
        assert system.source, name
        assert system.prices is None or len(system.prices.date) == len("2026-08-04"), name


def test_prices_can_be_overridden_and_a_wrong_key_is_named(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('[gpt-live.prices]\ndate = "2026-11-01"\nsession_minute = 0.1\n')
    assert cost_usd(systems(mine)["gpt-live"], Talk(minutes=10)) == pytest.approx(1.0)
    mine.write_text("[gpt-live.prices]\nprice = 1\n")
    with pytest.raises(ConfigError, match="no key 'price'; valid keys: audio_in"):
        systems(mine)
    mine.write_text("[somebody]\nuser_hz = 1.0\n")
    with pytest.raises(ConfigError, match=r"\[somebody\] needs a value for 'kind'"):
        systems(mine)


def test_a_talk_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        Talk(user_share=1.5)
    with pytest.raises(ValueError, match="above 0"):
        Talk(minutes=0)


def test_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["budget", "--set", "minutes=30", "--out", str(tmp_path / "budget.json")]) == 0
    shown = capsys.readouterr().out
    assert "openai-realtime" in shown and "212.5" in shown
    written = json.loads((tmp_path / "budget.json").read_text())
    assert written["talk"]["minutes"] == 30 and written["command"].startswith("python -m eval budget")
    assert written["systems"]["nano"]["codes_per_s"] == 212.5 and written["systems"]["gpt-live"]["usd"] is None
    assert main(["budget", "--set", "minuets=30"]) == 2
    assert "no key 'minuets'" in capsys.readouterr().err
