"""The frames byte by byte; the bytes are those that drivers and the data sheet of the board print."""

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.meters.mcp_frames import (
    PING,
    RANGE_1,
    ForbiddenFrame,
    FrameChecksumError,
    FrameChecksumRefused,
    FrameError,
    FrameLengthError,
    FrameNoise,
    FrameRefused,
    FrameTruncated,
    ReadRegisters,
    SetAddress,
    WriteRegisters,
    build_frame,
    parse_acknowledgement,
    parse_data_reply,
    parse_ping_reply,
    read_request,
    require_harmless,
    write_accumulation_interval,
    write_range,
    write_system_configuration,
)

# purpose, how it is built, the frame
REQUESTS = [
    ("datasheet example", read_request(0x0002, 32), "A5 08 41 00 02 4E 20 5E"),
    ("active power 1 and 2", read_request(0x0016, 8), "A5 08 41 00 16 4E 08 5A"),
    ("active power 1", read_request(0x0016, 4), "A5 08 41 00 16 4E 04 56"),
    ("active power 2", read_request(0x001A, 4), "A5 08 41 00 1A 4E 04 5A"),
    ("voltage", read_request(0x0006, 2), "A5 08 41 00 06 4E 02 44"),
    ("frequency", read_request(0x0008, 2), "A5 08 41 00 08 4E 02 46"),
    ("current 1", read_request(0x000E, 4), "A5 08 41 00 0E 4E 04 4E"),
    ("status", read_request(0x0002, 2), "A5 08 41 00 02 4E 02 40"),
    ("version", read_request(0x0004, 2), "A5 08 41 00 04 4E 02 42"),
    ("outputs in a block", read_request(0x0006, 32), "A5 08 41 00 06 4E 20 62"),
    ("read system configuration", read_request(0x00A0, 4), "A5 08 41 00 A0 4E 04 E0"),
    ("both energy counters on", write_system_configuration(0x300), "A5 0C 41 00 A0 4D 04 00 03 00 00 E6"),
    ("energy counter 1 on", write_system_configuration(0x100), "A5 0C 41 00 A0 4D 04 00 01 00 00 E4"),
    ("energy counters off", write_system_configuration(0), "A5 0C 41 00 A0 4D 04 00 00 00 00 E3"),
    ("read accumulation interval", read_request(0x00A8, 2), "A5 08 41 00 A8 4E 02 E6"),
    ("write N=1", write_accumulation_interval(1), "A5 0A 41 00 A8 4D 02 01 00 E8"),
    ("write N=2", write_accumulation_interval(2), "A5 0A 41 00 A8 4D 02 02 00 E9"),
    ("read range 1", read_request(0x00AE, 4), "A5 08 41 00 AE 4E 04 EE"),
    ("read range 2", read_request(0x00BE, 4), "A5 08 41 00 BE 4E 04 FE"),
    (
        "write range 1 as usual",
        write_range(RANGE_1, voltage=18, current=12, power=19, may_write_ranges=True),
        "A5 0C 41 00 AE 4D 04 12 0C 13 00 22",
    ),
    (
        "write range 1 finer",
        write_range(RANGE_1, voltage=18, current=12, power=6, may_write_ranges=True),
        "A5 0C 41 00 AE 4D 04 12 0C 06 00 15",
    ),
    ("import energy 1", read_request(0x002E, 8), "A5 08 41 00 2E 4E 08 72"),
    ("import energy 1 and 2", read_request(0x002E, 16), "A5 08 41 00 2E 4E 10 7A"),
    ("ping", PING, "5A 03 5D"),
]
WHOLE_REPLY = "06 23 F0 00 11 57 00 09 43 C3 14 7E 00 00 BB 1F 00 00 00 00 00 00 05 48 00 00 00 00 00 00 8C 0C 00 00 E1"
# what was read, the reply, the values in it as little-endian numbers of a width
REPLIES = [
    ("184.37 W and 0 W", "06 0B 05 48 00 00 00 00 00 00 5E", 4, [18437, 0]),
    ("6.34 W and 123.45 W", "06 0B 7A 02 00 00 39 30 00 00 F6", 4, [634, 12345]),
    ("184.37 W at range 6", "06 0B 00 A0 00 09 00 00 00 00 BA", 4, [151_035_904, 0]),
    ("123.45 W", "06 07 39 30 00 00 76", 4, [12345]),
    ("230.4 V", "06 05 00 09 14", 2, [2304]),
    ("49.987 Hz", "06 05 43 C3 11", 2, [49987]),
    ("status", "06 05 F0 00 FB", 2, [0xF0]),
    ("system configuration", "06 07 00 03 00 00 10", 4, [0x300]),
    ("N=1", "06 05 01 00 0C", 2, [1]),
    ("ranges 18, 12, 19", "06 07 12 0C 13 00 3E", 1, [18, 12, 19, 0]),
    ("1000 counts of energy", "06 0B E8 03 00 00 00 00 00 00 FC", 8, [1000]),
    ("3687 and 0 counts", "06 13 67 0E 00 00 00 00 00 00 00 00 00 00 00 00 00 00 8E", 8, [3687, 0]),
    ("a whole frame", WHOLE_REPLY, 2, [0xF0, 0x5711, 2304, 49987, 32276, 0, 8123, 0, 0, 0, 18437, 0, 0, 0, 3212, 0]),
]
# They save to flash, erase and write the EEPROM, or calibrate; the first two as other drivers print them.
DESTRUCTIVE = {
    "save to flash": "A5 04 53 FC",
    "erase EEPROM": "A5 04 4F F8",
    "calibrate gain": "A5 04 5A 03",
    "calibrate reactive gain": "A5 04 7A 23",
    "calibrate frequency": "A5 04 76 1F",
    "read EEPROM": "A5 05 42 00 EC",
    "write EEPROM": "A5 15 50 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 0A",
}
POWERS = bytes.fromhex("06 0B 7A 02 00 00 39 30 00 00 F6")


class TestRequests:
    @pytest.mark.parametrize(("built", "frame"), [case[1:] for case in REQUESTS], ids=[case[0] for case in REQUESTS])
    def test_are_the_known_bytes(self, built: bytes, frame: str) -> None:
        assert built == bytes.fromhex(frame)

    @pytest.mark.parametrize("count", [0, 33])
    def test_read_1_to_32_bytes(self, count: int) -> None:
        with pytest.raises(ValueError, match="1 to 32"):
            read_request(0x0002, count)

    def test_fit_a_frame_of_35_bytes(self) -> None:
        with pytest.raises(ForbiddenFrame, match="35"):
            build_frame([SetAddress(2), ReadRegisters(2)] * 8)


class TestReplies:
    @pytest.mark.parametrize(
        ("reply", "width", "values"), [case[1:] for case in REPLIES], ids=[case[0] for case in REPLIES]
    )
    def test_give_the_known_values(self, reply: str, width: int, values: list[int]) -> None:
        content = parse_data_reply(bytes.fromhex(reply), width * len(values))

        found = [int.from_bytes(content[at : at + width], "little") for at in range(0, len(content), width)]
        assert found == values

    def test_to_a_write_is_one_byte(self) -> None:
        parse_acknowledgement(b"\x06")

    def test_to_the_ping_has_the_device(self) -> None:
        assert parse_ping_reply(bytes.fromhex("15 03")) == 3

    @pytest.mark.parametrize(
        ("reply", "error"),
        [
            (b"", FrameTruncated),
            (POWERS[:1], FrameTruncated),
            (POWERS[:-1], FrameTruncated),
            (b"\x06\x0c" + POWERS[2:], FrameLengthError),
            (POWERS[:-1] + b"\xf7", FrameChecksumError),
            (b"\x06\x0b\x7b" + POWERS[3:], FrameChecksumError),
            (b"\x00" + POWERS, FrameNoise),
            (POWERS + b"\x00", FrameNoise),
            (b"\x15", FrameRefused),
            (b"\x51", FrameChecksumRefused),
        ],
    )
    def test_that_are_wrong_say_how(self, reply: bytes, error: type[FrameError]) -> None:
        with pytest.raises(error):
            parse_data_reply(reply, 8)

    @pytest.mark.parametrize(
        ("parse", "reply"),
        [
            (parse_acknowledgement, ""),
            (parse_acknowledgement, "15"),
            (parse_acknowledgement, "51"),
            (parse_acknowledgement, "06 06"),
            (parse_ping_reply, "15"),
            (parse_ping_reply, "06 03"),
            (parse_ping_reply, "15 03 00"),
        ],
    )
    def test_without_data_that_are_wrong_are_refused(self, parse: Callable[[bytes], object], reply: str) -> None:
        with pytest.raises(FrameError):
            parse(bytes.fromhex(reply))

    @given(at=st.integers(0, 10), byte=st.integers(0, 255))
    def test_with_one_wrong_byte_never_pass(self, at: int, byte: int) -> None:
        spoilt = POWERS[:at] + bytes((byte,)) + POWERS[at + 1 :]

        if spoilt != POWERS:
            with pytest.raises(FrameError):
                parse_data_reply(spoilt, 8)


def operations_in(frame: bytes) -> list[tuple[int, int | None, int]]:
    """Take a frame apart independently of the product: operation, address it works on, length."""
    assert frame[0] == 0xA5
    assert frame[1] == len(frame) <= 35
    assert sum(frame[:-1]) % 256 == frame[-1]
    body, found, address = list(frame[2:-1]), [], None
    while body:
        operation = body.pop(0)
        if operation == 0x41:
            address = body.pop(0) * 256 + body.pop(0)
            found.append((operation, address, 0))
            continue
        length = body.pop(0)
        found.append((operation, address, length))
        if operation == 0x4D:
            assert len(body) >= length
            del body[:length]
    return found


COMMANDS = st.one_of(
    st.builds(SetAddress, st.sampled_from([0x0002, 0x0070, 0x009E, 0x00A0, 0x00A8, 0x00AE, 0x00BE])),
    st.builds(SetAddress, st.integers(0, 0xFFFF)),
    st.builds(ReadRegisters, st.integers(1, 32)),
    st.builds(WriteRegisters, st.binary(max_size=16)),
    st.builds(WriteRegisters, st.binary(min_size=4, max_size=4)),
    st.builds(WriteRegisters, st.binary(min_size=2, max_size=2)),
)


class TestHarmlessness:
    @pytest.mark.parametrize("frame", DESTRUCTIVE.values(), ids=DESTRUCTIVE)
    def test_forbids_what_overwrites_calibration_or_memory(self, frame: str) -> None:
        content = bytes.fromhex(frame)
        assert sum(content[:-1]) % 256 == content[-1]

        with pytest.raises(ForbiddenFrame):
            require_harmless(content, may_write_ranges=True)

    @pytest.mark.parametrize("opcode", [0x53, 0x4F, 0x50, 0x5A, 0x7A, 0x76, 0x42, 0x44, 0x52, 0x45, 0x57])
    def test_forbids_them_after_an_allowed_command_too(self, opcode: int) -> None:
        unchecked = bytes((0xA5, 0x09, 0x41, 0x00, 0xA0, 0x4E, 0x04, opcode))
        frame = unchecked + bytes((sum(unchecked) % 256,))

        with pytest.raises(ForbiddenFrame):
            require_harmless(frame, may_write_ranges=True)

    @given(commands=st.lists(COMMANDS, max_size=4), may_write_ranges=st.booleans())
    def test_holds_for_whatever_can_be_built(
        self, commands: list[SetAddress | ReadRegisters | WriteRegisters], may_write_ranges: bool
    ) -> None:
        try:
            frame = build_frame(commands, may_write_ranges=may_write_ranges)
        except ForbiddenFrame:
            return
        writable = {(0x00A0, 4), (0x00A8, 2)} | ({(0x00AE, 4), (0x00BE, 4)} if may_write_ranges else set())
        for operation, address, length in operations_in(frame):
            assert operation in {0x41, 0x4E, 0x4D}
            assert operation != 0x4D or (address, length) in writable

    @given(body=st.binary(max_size=32))
    def test_holds_for_any_bytes_that_pass_the_gate(self, body: bytes) -> None:
        unchecked = bytes((0xA5, len(body) + 3)) + body
        frame = unchecked + bytes((sum(unchecked) % 256,))
        try:
            require_harmless(frame)
        except ForbiddenFrame:
            return
        for operation, address, length in operations_in(frame):
            assert operation in {0x41, 0x4E, 0x4D}
            assert operation != 0x4D or (address, length) in {(0x00A0, 4), (0x00A8, 2)}

    @given(
        address=st.integers(0, 0xFFFF),
        count=st.integers(1, 32),
        value=st.integers(0, 2**32 - 1),
        exponent=st.integers(0, 2**16 - 1),
    )
    def test_holds_for_every_builder(self, address: int, count: int, value: int, exponent: int) -> None:
        frames = [
            read_request(address, count),
            write_system_configuration(value),
            write_accumulation_interval(exponent),
            write_range(RANGE_1, voltage=value % 256, current=count, power=exponent % 256, may_write_ranges=True),
        ]
        assert {operation for frame in frames for operation, _, _ in operations_in(frame)} <= {0x41, 0x4E, 0x4D}

    def test_forbids_ranges_without_permission(self) -> None:
        with pytest.raises(ForbiddenFrame):
            write_range(RANGE_1, voltage=18, current=12, power=19, may_write_ranges=False)

    @pytest.mark.parametrize("address", [0x0070, 0x007A, 0x009C, 0x00A2, 0x00AA])
    def test_forbids_to_write_other_registers(self, address: int) -> None:
        with pytest.raises(ForbiddenFrame):
            build_frame([SetAddress(address), WriteRegisters(bytes(2))], may_write_ranges=True)

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "5A",
            "5A 03",
            "A5 08 41 00 02 4E 20 5F",
            "A5 09 41 00 02 4E 20 5F",
            "A5 0A 41 00 A8 4D 04 01 00 EA",
            "A5 0A 41 00 A0 4D 02 01 00 E0",
        ],
    )
    def test_forbids_what_is_no_whole_frame(self, content: str) -> None:
        with pytest.raises(ForbiddenFrame):
            require_harmless(bytes.fromhex(content))

    def test_names_what_it_forbids(self) -> None:
        with pytest.raises(ForbiddenFrame, match=re.escape("53 may not be sent")):
            require_harmless(bytes.fromhex("A5 04 53 FC"))
