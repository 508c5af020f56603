"""URLs and addresses that strangers choose: which are taken, and what each of the others is told."""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.providers.destinations import (
    FAULTS,
    MAX_URL,
    PORTS,
    Address,
    UnsafeDestination,
    admit,
    fault_of,
    parse_destination,
)
from notifier.runtime.addresses import Network

NOWHERE_GLOBAL: Final = [
    ip_network(text)
    for text in re.split(
        r"\s+",
        """0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/29 192.0.0.8/32
        192.0.0.170/31 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
        224.0.0.0/4 240.0.0.0/4 ::/127 ::ffff:0:0/96 64:ff9b:1::/48 100::/64 100:0:0:1::/64 2001::/32 2001:2::/48
        2001:db8::/32 2001:10::/28 2002::/16 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8""",
    )
]
"""What IANA's special-purpose registries don't call globally reachable, with multicast and what was given back."""

HOSTILE: Final = [
    # As IPv4 has it
    ("https://0.0.0.0/", "unspecified"),
    ("https://0.1.2.3/", "unspecified"),
    ("https://127.0.0.1/", "loopback"),
    ("https://127.255.255.254:8443/", "loopback"),
    ("https://127.0.0.1./", "loopback"),
    ("https://10.0.0.1/", "private"),
    ("https://172.16.0.1/", "private"),
    ("https://172.31.255.255/", "private"),
    ("https://192.168.1.1/", "private"),
    ("https://169.254.1.1/", "link_local"),
    ("https://169.254.169.254/latest/meta-data/", "metadata"),
    ("https://169.254.170.2/v2/credentials", "metadata"),
    ("https://100.100.100.200/latest/meta-data/", "metadata"),
    ("https://168.63.129.16/", "metadata"),
    ("https://192.0.0.192/opc/v1/instance/", "metadata"),
    ("https://100.64.0.1/", "shared"),
    ("https://100.127.255.255/", "shared"),
    ("https://224.0.0.1/", "multicast"),
    ("https://239.255.255.250/", "multicast"),
    ("https://192.0.2.1/", "documentation"),
    ("https://198.51.100.1/", "documentation"),
    ("https://203.0.113.1/", "documentation"),
    ("https://198.18.0.1/", "benchmarking"),
    ("https://198.19.255.255/", "benchmarking"),
    ("https://192.0.0.1/", "reserved"),
    ("https://192.88.99.1/", "reserved"),
    ("https://240.0.0.1/", "reserved"),
    ("https://255.255.255.255/", "reserved"),
    # As IPv6 has it
    ("https://[::]/", "unspecified"),
    ("https://[::1]/", "loopback"),
    ("https://[0:0:0:0:0:0:0:1]/", "loopback"),
    ("https://[fc00::1]/", "private"),
    ("https://[fdff::1]/", "private"),
    ("https://[fec0::1]/", "private"),
    ("https://[fe80::1]/", "link_local"),
    ("https://[fd00:ec2::254]/", "metadata"),
    ("https://[fd20:ce::254]/", "metadata"),
    ("https://[ff02::1]/", "multicast"),
    ("https://[ff0e::1]/", "multicast"),
    ("https://[2001:db8::1]/", "documentation"),
    ("https://[3fff::1]/", "documentation"),
    ("https://[2001:2::1]/", "benchmarking"),
    ("https://[100::1]/", "reserved"),
    ("https://[100:0:0:1::1]/", "reserved"),
    ("https://[5f00::1]/", "reserved"),
    ("https://[4000::1]/", "reserved"),
    ("https://[2001:10::1]/", "reserved"),
    # IPv4 within IPv6
    ("https://[::ffff:127.0.0.1]/", "embedded"),
    ("https://[::ffff:7f00:1]/", "embedded"),
    ("https://[::ffff:8.8.8.8]/", "embedded"),
    ("https://[::ffff:0:127.0.0.1]/", "embedded"),
    ("https://[::127.0.0.1]/", "embedded"),
    ("https://[2002:7f00:1::]/", "embedded"),
    ("https://[2002:808:808::1]/", "embedded"),
    ("https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/", "embedded"),
    ("https://[64:ff9b::127.0.0.1]/", "loopback"),
    ("https://[64:ff9b::10.0.0.1]/", "private"),
    ("https://[64:ff9b::a9fe:a9fe]/", "metadata"),
    ("https://[64:ff9b::224.0.0.1]/", "multicast"),
    ("https://[64:ff9b:1::10.0.0.1]/", "embedded"),
    ("https://[64:ff9b:1::8.8.8.8]/", "embedded"),
    # IPv4 in other notations, and what a resolver makes one of
    ("https://0x7f.1/", "ipv4_notation"),
    ("https://0x7f000001/", "ipv4_notation"),
    ("https://0X7F.0.0.0X1/", "ipv4_notation"),
    ("https://017700000001/", "ipv4_notation"),
    ("https://0177.0.0.1/", "ipv4_notation"),
    ("https://127.0.0.01/", "ipv4_notation"),
    ("https://2130706433/", "ipv4_notation"),
    ("https://127.1/", "ipv4_notation"),
    ("https://127.0.1/", "ipv4_notation"),
    ("https://0/", "ipv4_notation"),
    ("https://0x/", "ipv4_notation"),
    ("https://256.0.0.1/", "ipv4_notation"),
    ("https://127.0.0.1.1/", "ipv4_notation"),
    ("https://host.example.1/", "ipv4_notation"),
    ("https://１２７.０.０.１/", "loopback"),
    ("https://①②⑦.⓪.⓪.①/", "loopback"),
    ("https://127。0。0。1/", "loopback"),
    ("https://０ｘ７ｆ.1/", "ipv4_notation"),
    # Zones
    ("https://[fe80::1%eth0]/", "zone_id"),
    ("https://[fe80::1%25eth0]/", "zone_id"),
    ("https://[2606:4700::1%1]/", "zone_id"),
    # Hosts that are none
    ("https://[127.0.0.1]/", "bad_host"),
    ("https://[::1/", "bad_host"),
    ("https://::1/", "bad_host"),
    ("https://[v1.fe80::1]/", "bad_host"),
    ("https://[::1]evil.example/", "bad_host"),
    ("https://%31%32%37.0.0.1/", "ipv4_notation"),
    ("https://%6c%6fcalhost/", "bad_host"),
    ("https://host%00.example/", "bad_host"),
    ("https://host\x00.example/", "bad_host"),
    ("https://.host.example/", "bad_host"),
    ("https://host..example/", "bad_host"),
    ("https://host.example../", "bad_host"),
    ("https://./", "bad_host"),
    ("https://-host.example/", "bad_host"),
    ("https://ho st.example/", "not_a_url"),
    ("https://host*.example/", "bad_host"),
    (f"https://{'a' * 64}.example/", "bad_host"),
    ("https://\u202ehost.example/", "bad_host"),
    (f"https://{'a.' * 126}example/", "name_too_long"),
    (f"https://{'ä' * 254}.example/", "name_too_long"),
    # Users, ports, schemes, and what isn't a URL
    ("https://user@host.example/", "user_info"),
    ("https://user:word@host.example/", "user_info"),
    ("https://@host.example/", "user_info"),
    ("https://host.example@127.0.0.1/", "user_info"),
    ("https://127.0.0.1:443@host.example/", "user_info"),
    ("https://host.example#@127.0.0.1/", "fragment"),
    ("https://host.example/#", "fragment"),
    ("https://host.example:22/", "port_not_allowed"),
    ("https://host.example:80/", "port_not_allowed"),
    ("https://host.example:6379/", "port_not_allowed"),
    ("https://1.1.1.1:25/", "port_not_allowed"),
    ("https://host.example:/", "bad_port"),
    ("https://host.example:0/", "bad_port"),
    ("https://host.example:65536/", "bad_port"),
    ("https://host.example:443443/", "bad_port"),
    ("https://host.example:+443/", "bad_port"),
    ("https://host.example:４４３/", "bad_port"),
    ("https://host.example:443:443/", "bad_port"),
    ("http://host.example/", "not_https"),
    ("http://1.1.1.1/", "not_https"),
    ("http://10.0.0.1/", "private"),
    ("ftp://host.example/", "not_https"),
    ("gopher://127.0.0.1:6379/_FLUSHALL", "not_https"),
    ("file:///etc/passwd", "not_a_url"),
    ("//host.example/", "not_a_url"),
    ("host.example", "not_a_url"),
    ("https:host.example", "not_a_url"),
    ("https:///host.example", "not_a_url"),
    ("https://", "not_a_url"),
    ("", "not_a_url"),
    (" https://host.example/", "not_a_url"),
    ("https://host.example/\r\nX: y", "not_a_url"),
    ("https://host.example/a b", "not_a_url"),
    ("https://host.example\r\n", "not_a_url"),
    ("https://host.example\\@127.0.0.1/", "not_a_url"),
    ("https:\\\\host.example/", "not_a_url"),
    ("https://host.example/a\\b", "not_a_url"),
    ("https://host.example/ä", "not_a_url"),
    (f"https://host.example/{'a' * MAX_URL}", "url_too_long"),
]

LEADING_ASTRAY: Final[list[tuple[Sequence[str], str]]] = [
    ([], "no_address"),
    (["127.0.0.1"], "loopback"),
    (["::1"], "loopback"),
    (["1.1.1.1", "10.0.0.1"], "private"),
    (["10.0.0.1", "1.1.1.1"], "private"),
    (["2606:4700::1", "1.1.1.1", "169.254.169.254"], "metadata"),
    (["1.1.1.1"] * 50 + ["192.168.0.1"], "private"),
    (["1.1.1.1", "::ffff:10.0.0.1"], "embedded"),
    (["1.1.1.1", "64:ff9b::10.0.0.1"], "private"),
    (["fe80::1%1"], "link_local"),
    (["0.1.2.3"], "unspecified"),
]


@pytest.mark.parametrize(("url", "fault"), HOSTILE)
def test_a_hostile_url_is_refused_by_the_name_of_its_fault(url: str, fault: str) -> None:
    with pytest.raises(UnsafeDestination) as refused:
        parse_destination(url)
    assert (refused.value.code, str(refused.value)) == (fault, FAULTS[fault])


@pytest.mark.parametrize(("addresses", "fault"), LEADING_ASTRAY)
def test_one_bad_address_spoils_a_name(addresses: Sequence[str], fault: str) -> None:
    with pytest.raises(UnsafeDestination) as refused:
        admit(parse_destination("https://host.example/"), [ip_address(each) for each in addresses])
    assert refused.value.code == fault


def test_every_fault_occurs() -> None:
    assert {fault for _, fault in (*HOSTILE, *LEADING_ASTRAY)} == FAULTS.keys()


@pytest.mark.parametrize(
    ("url", "one_form"),
    [
        ("https://host.example", "https://host.example/"),
        ("HTTPS://Host.EXAMPLE./Path", "https://host.example/Path"),
        ("https://host.example:443/", "https://host.example/"),
        ("https://host.example:8443?a[]=1&b=%20", "https://host.example:8443/?a[]=1&b=%20"),
        ("https://host.example/a@b:c?u=https://10.0.0.1/", "https://host.example/a@b:c?u=https://10.0.0.1/"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://BÜCHER。example/", "https://xn--bcher-kva.example/"),
        ("https://faß.example/", "https://xn--fa-hia.example/"),
        ("https://a_b.example/", "https://a_b.example/"),
        ("https://1e100.net/", "https://1e100.net/"),
        ("https://0x7f.example/", "https://0x7f.example/"),
        ("https://1.1.1.1/", "https://1.1.1.1/"),
        ("https://1.1.1.1.:8443/", "https://1.1.1.1:8443/"),
        ("https://[2606:4700:0::1111]:8443/", "https://[2606:4700::1111]:8443/"),
        ("https://[64:ff9b::1.1.1.1]/", "https://[64:ff9b::101:101]/"),
        (f"https://{'a.' * 123}example/", f"https://{'a.' * 123}example/"),
    ],
)
def test_a_url_that_is_safe_has_one_form(url: str, one_form: str) -> None:
    assert parse_destination(url).url == one_form
    assert parse_destination(one_form).url == one_form


@pytest.mark.parametrize("port", sorted(PORTS))
def test_the_ports_of_https_are_open(port: int) -> None:
    destination = parse_destination(f"https://host.example:{port}/")
    assert not admit(destination, [ip_address("1.1.1.1"), ip_address("2606:4700::1111")])


def test_a_permitted_network_may_be_asked_over_http_and_on_any_port() -> None:
    permitted = [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    assert parse_destination("http://127.0.0.1:8080/", permitted).authority == "127.0.0.1:8080"
    assert parse_destination("http://[::1]/", permitted).authority == "[::1]"
    local = parse_destination("http://localhost:9/", permitted)
    assert admit(local, [ip_address("127.0.0.1"), ip_address("::1")], permitted)


@pytest.mark.parametrize(
    ("addresses", "fault"),
    [
        (["1.1.1.1"], "not_https"),
        (["127.0.0.1", "1.1.1.1"], "loopback"),
        (["127.0.0.1", "10.0.0.1"], "loopback"),
        (["10.0.0.1"], "private"),
        (["::ffff:127.0.0.1"], "embedded"),
        (["64:ff9b::127.0.0.1"], "loopback"),
    ],
)
def test_a_permitted_network_opens_nothing_beside_itself(addresses: Sequence[str], fault: str) -> None:
    permitted = [ip_network("127.0.0.0/8")]
    destination = parse_destination("http://host.example:8080/", permitted)
    with pytest.raises(UnsafeDestination) as refused:
        admit(destination, [ip_address(each) for each in addresses], permitted)
    assert refused.value.code == fault


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[fd00:ec2::254]", "100.100.100.200", "[64:ff9b::169.254.169.254]"]
)
def test_metadata_is_never_permitted(host: str) -> None:
    with pytest.raises(UnsafeDestination) as refused:
        parse_destination(f"http://{host}/", [ip_network("0.0.0.0/0"), ip_network("::/0")])
    assert refused.value.code == "metadata"


def test_what_a_destination_is_shown_as_holds_no_secret_path() -> None:
    assert repr(parse_destination("https://host.example/s3cret?k=s3cret")) == "Destination(https://host.example)"


@pytest.mark.parametrize("network", NOWHERE_GLOBAL)
def test_no_special_network_passes_from_its_first_address_to_its_last(network: Network) -> None:
    for address in (network[0], network[network.num_addresses // 2], network[-1]):
        assert fault_of(address) is not None


ADDRESSES = st.one_of(
    st.ip_addresses(),  # Hypothesis draws from the special networks often
    st.integers(0, 2**32 - 1).map(IPv4Address),
    st.integers(0, 2**128 - 1).map(IPv6Address),
    st.integers(0, 2**125 - 1).map(lambda drawn: IPv6Address(0b001 << 125 | drawn)),
    st.integers(0, 2**32 - 1).map(lambda drawn: IPv6Address(int(IPv6Address("64:ff9b::")) | drawn)),
    st.sampled_from(NOWHERE_GLOBAL).flatmap(
        lambda net: st.sampled_from([net[0], net[-1], net[net.num_addresses // 2]])
    ),
)


def is_global(address: Address) -> bool:
    """As IANA has it, written down a second time."""
    if isinstance(address, IPv6Address) and address in ip_network("64:ff9b::/96"):
        return is_global(IPv4Address(int(address) % 2**32))
    local = address.is_private or address.is_loopback or address.is_link_local or address.is_unspecified
    site_local = isinstance(address, IPv6Address) and address.is_site_local
    return not (
        local
        or site_local
        or address.is_multicast
        or address.is_reserved
        or any(address in net for net in NOWHERE_GLOBAL)
    )


@given(ADDRESSES)
@example(ip_address("223.255.255.255"))
@example(ip_address("2000::"))
def test_nothing_that_is_not_global_ever_passes(address: Address) -> None:
    host = f"[{address}]" if address.version == 6 else str(address)
    fault = fault_of(address)
    if fault is None:
        assert is_global(address)
        assert parse_destination(f"https://{host}/").address == address
    else:
        with pytest.raises(UnsafeDestination) as refused:
            parse_destination(f"https://{host}/")
        assert refused.value.code == fault


@given(st.lists(ADDRESSES, min_size=1, max_size=5))
def test_a_name_passes_only_where_each_of_its_addresses_is_global(addresses: list[Address]) -> None:
    destination = parse_destination("https://host.example/")
    if all(fault_of(each) is None for each in addresses):
        assert not admit(destination, addresses)
        assert all(is_global(each) for each in addresses)
    else:
        with pytest.raises(UnsafeDestination):
            admit(destination, addresses)


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_an_ordinary_address_passes(address: IPv4Address) -> None:
    ordinary = ip_network("64.0.0.0/6")  # 64 to 67: nothing special in it
    inside = IPv4Address(int(ordinary[0]) | int(address) & 0x03FF_FFFF)
    assert fault_of(inside) is None
    assert fault_of(IPv6Address(int(IPv6Address("64:ff9b::")) | int(inside))) is None


@given(st.one_of(st.text(), st.text().map(lambda text: f"https://{text}"), st.text().map("https://{}/".format)))
def test_any_text_is_taken_in_its_one_form_or_refused(text: str) -> None:
    try:
        destination = parse_destination(text)
    except UnsafeDestination:
        return
    assert parse_destination(destination.url) == destination
    assert destination.url.isascii()
    assert destination.url.isprintable()
