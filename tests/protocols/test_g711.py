"""G.711 against the tables of ITU-T G.711 (values at the segments' ends), and every code there and back."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from duplex.protocols.g711 import decode_alaw, decode_ulaw, encode_alaw, encode_ulaw

# code -> 16-bit value. G.711 table 2a (mu-law, 14 bits, here times 4) and 1a (A-law, 13 bits, here times 8)
ULAW = {0xFF: 0, 0xFE: 8, 0xF0: 120, 0xEF: 132, 0xDF: 396, 0xCF: 924, 0xBF: 1980, 0xAF: 4092, 0x9F: 8316, 0x8F: 16764}
ULAW |= {0x80: 32124, 0x7F: 0, 0x7E: -8, 0x70: -120, 0x0F: -16764, 0x00: -32124}
ALAW = {0xD5: 8, 0xD4: 24, 0xC5: 264, 0xF5: 528, 0xE5: 1056, 0x95: 2112, 0x85: 4224, 0xB5: 8448, 0xA5: 16896}
ALAW |= {0xAA: 32256, 0x55: -8, 0x25: -16896, 0x2A: -32256}
ALL = bytes(range(256))
CODECS = {"ulaw": (decode_ulaw, encode_ulaw, ULAW), "alaw": (decode_alaw, encode_alaw, ALAW)}


@pytest.mark.parametrize("law", CODECS)
def test_values_of_the_standard(law):
    decode, _, values = CODECS[law]
    assert {code: float(decode(bytes([code]))[0] * 32768) for code in values} == values


@pytest.mark.parametrize("law", CODECS)
def test_every_code_survives(law):
    decode, encode, _ = CODECS[law]
    back = encode(decode(ALL))
    changed = {code: back[code] for code in ALL if back[code] != code}
    assert changed == ({0x7F: 0xFF} if law == "ulaw" else {}), "mu-law writes both of its zeros as 0xFF"
    assert decode(ALL).dtype == np.float32 and decode(b"").shape == (0,) and encode(np.zeros(0, np.float32)) == b""


@pytest.mark.parametrize(
    ("value", "ulaw", "alaw"),
    [
        (0, 0xFF, 0xD5),
        (3, 0xFF, 0xD5),
        (4, 0xFE, 0xD5),  # the first decision value of mu-law, 1 of 8159
        (16, 0xFD, 0xD4),  # ... and of A-law, 2 of 4096
        (-16, 0x7D, 0x54),
        (123, 0xF0, 0xD2),
        (124, 0xEF, 0xD2),  # 31 of 8159: the edge of a segment, where the nearest value would still be 120
        (511, 0xDB, 0xCA),
        (512, 0xDB, 0xF5),
        (31_612, 0x80, 0xAB),  # 7903 of 8159
        (32_767, 0x80, 0xAA),
        (-32_768, 0x00, 0x2A),
        (40_000, 0x80, 0xAA),
        (-40_000, 0x00, 0x2A),
    ],
)
def test_decision_values_of_the_standard(value, ulaw, alaw):
    pcm = np.array([value / 32768], np.float32)
    assert (encode_ulaw(pcm)[0], encode_alaw(pcm)[0]) == (ulaw, alaw)


@pytest.mark.parametrize(("law", "bias"), [("ulaw", 132 / 32768), ("alaw", 0.0)])  # mu-law's segments begin at -132
@example(pcm=[0.01162706222385168])
@given(pcm=st.lists(st.floats(-0.96875, 0.96875, width=32), max_size=50))
def test_the_error_is_a_small_part_of_the_sample(law, bias, pcm):
    decode, encode, _ = CODECS[law]
    pcm = np.array(pcm, np.float32)
    floor = 9 / 32768  # half a step of the smallest segment
    assert (np.abs(decode(encode(pcm)) - pcm) <= np.maximum(floor, (np.abs(pcm) + bias) / 31)).all()


@pytest.mark.parametrize("law", CODECS)
def test_louder_is_never_coded_softer(law):
    decode, encode, _ = CODECS[law]
    ramp = np.arange(-32_768, 32_768, dtype=np.float32) / 32_768
    assert (np.diff(decode(encode(ramp))) >= 0).all()
