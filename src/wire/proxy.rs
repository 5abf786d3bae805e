//! The header by which a proxy says who connected to it: the PROXY protocol, versions 1 (a line of text) and 2
//! (binary).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What the first bytes of a connection say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// A header may have begun, and its end has not arrived: read on.
    NeedMore,
    /// A header, and how many bytes it takes.
    Done {
        consumed: usize,
        /// The client, as the proxy saw it. None if the proxy speaks for itself (a health check) or the client has no
        /// address: then the connection is from whom it comes from.
        source: Option<SocketAddr>,
    },
    /// These bytes are something else, and no header.
    Absent,
    /// A header that is broken. The connection is to be dropped.
    Invalid(&'static str),
}

/// The longest header that is read. Version 1 has at most 107 bytes, version 2 at most 232 and what it tells of TLS,
/// names and ids in addition, which proxies keep to some hundred bytes. The format itself would allow for 64 KiB.
pub const HEADER_BYTES_MAX: usize = 4 << 10;

const V1_START: &[u8] = b"PROXY ";
const V1_BYTES_MAX: usize = 107;
const V2_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEAD_BYTES: usize = 16;

/// Reads the header at the front of `input`, which is all that has arrived so far, whatever it may be.
pub fn parse(input: &[u8]) -> ProxyHeader {
    if begins_like(input, V1_START) {
        parse_v1(input)
    } else if begins_like(input, V2_START) {
        parse_v2(input)
    } else {
        ProxyHeader::Absent
    }
}

/// Whether `input` begins with `start`, or could still do so.
fn begins_like(input: &[u8], start: &[u8]) -> bool {
    input.iter().zip(start).all(|(byte, expected)| byte == expected)
}

/// `PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n`
fn parse_v1(input: &[u8]) -> ProxyHeader {
    let window = input.get(..V1_BYTES_MAX).unwrap_or(input);
    let Some(line_bytes) = memchr::memchr(b'\n', window) else {
        return match window.len() {
            V1_BYTES_MAX => ProxyHeader::Invalid("the line of version 1 has no end within 107 bytes"),
            _ => ProxyHeader::NeedMore,
        };
    };
    let line = input.get(V1_START.len()..line_bytes).and_then(|line| line.strip_suffix(b"\r"));
    let Some(line) = line.and_then(|line| std::str::from_utf8(line).ok()) else {
        return ProxyHeader::Invalid("the line of version 1 does not end in CR LF");
    };
    match read_v1_source(line) {
        Ok(source) => ProxyHeader::Done { consumed: line_bytes.saturating_add(1), source },
        Err(what) => ProxyHeader::Invalid(what),
    }
}

/// Reads what follows `PROXY ` in the line of version 1.
fn read_v1_source(line: &str) -> Result<Option<SocketAddr>, &'static str> {
    let mut words = line.split(' ');
    let family = words.next().unwrap_or_default();
    // What else an unknown line may say is not to be looked at.
    if family == "UNKNOWN" {
        return Ok(None);
    }
    let [Some(source), Some(target), Some(source_port), Some(target_port), None] =
        [words.next(), words.next(), words.next(), words.next(), words.next()]
    else {
        return Err("the line of version 1 does not have two addresses and two ports");
    };
    let read_address = |text: &str| match family {
        "TCP4" => text.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| "not an IPv4 address"),
        "TCP6" => text.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| "not an IPv6 address"),
        _ => Err("the protocol of version 1 is none of TCP4, TCP6 and UNKNOWN"),
    };
    let source = SocketAddr::new(read_address(source)?, read_v1_port(source_port)?);
    read_address(target)?;
    read_v1_port(target_port)?;
    Ok(Some(source))
}

fn read_v1_port(text: &str) -> Result<u16, &'static str> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| is_plain).ok_or("not a port")
}

/// Twelve bytes of signature, version and command, family, length of what follows; then addresses, then what else is
/// told.
fn parse_v2(input: &[u8]) -> ProxyHeader {
    // What is wrong is told as soon as it is seen, so that nobody waits for bytes that do not count.
    if input.get(12).is_some_and(|version_and_command| !matches!(version_and_command, 0x20 | 0x21)) {
        return ProxyHeader::Invalid("neither LOCAL nor PROXY of version 2");
    }
    let Some((head, rest)) = input.split_first_chunk::<V2_HEAD_BYTES>() else { return ProxyHeader::NeedMore };
    let [.., version_and_command, family, length_high, length_low] = *head;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    if V2_HEAD_BYTES + length > HEADER_BYTES_MAX {
        return ProxyHeader::Invalid("the header of version 2 is too long");
    }
    let Some(body) = rest.get(..length) else { return ProxyHeader::NeedMore };
    let is_local = version_and_command == 0x20;
    match read_v2_source(family, body) {
        _ if is_local => ProxyHeader::Done { consumed: V2_HEAD_BYTES + length, source: None },
        Ok(source) => ProxyHeader::Done { consumed: V2_HEAD_BYTES + length, source },
        Err(what) => ProxyHeader::Invalid(what),
    }
}

/// Reads the addresses: source, target, source port, target port. Streams end in 1, datagrams in 2; it is one to us.
fn read_v2_source(family: u8, body: &[u8]) -> Result<Option<SocketAddr>, &'static str> {
    const TOO_SHORT: &str = "the header of version 2 is too short for its addresses";
    match family {
        0x00 => Ok(None),
        0x11 | 0x12 => {
            let (addresses, _) = body.split_first_chunk::<12>().ok_or(TOO_SHORT)?;
            let [a, b, c, d, _, _, _, _, port_high, port_low, _, _] = *addresses;
            let address = Ipv4Addr::new(a, b, c, d);
            Ok(Some(SocketAddr::new(address.into(), u16::from_be_bytes([port_high, port_low]))))
        }
        0x21 | 0x22 => {
            let (address, rest) = body.split_first_chunk::<16>().ok_or(TOO_SHORT)?;
            let (_, rest) = rest.split_first_chunk::<16>().ok_or(TOO_SHORT)?;
            let (ports, _) = rest.split_first_chunk::<4>().ok_or(TOO_SHORT)?;
            let [port_high, port_low, _, _] = *ports;
            Ok(Some(SocketAddr::new(Ipv6Addr::from(*address).into(), u16::from_be_bytes([port_high, port_low]))))
        }
        // Unix sockets: two paths of 108 bytes, which tell nothing about a client.
        0x31 | 0x32 if body.len() >= 216 => Ok(None),
        0x31 | 0x32 => Err(TOO_SHORT),
        _ => Err("the address family of version 2 is unknown"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn v2(version_and_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(body.len()).expect("the tests keep to it").to_be_bytes();
        [V2_START, &[version_and_command, family], &length, body].concat()
    }

    fn done(header: &[u8], source: Option<&str>) -> ProxyHeader {
        let source = source.map(|source| source.parse().expect("the tests write addresses"));
        ProxyHeader::Done { consumed: header.len(), source }
    }

    /// Every header that is read, and the client that it names.
    fn headers() -> Vec<(Vec<u8>, Option<&'static str>)> {
        let ipv4 = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb];
        let source: [u8; 16] = "2001:db8::1".parse::<Ipv6Addr>().expect("an address").octets();
        let ipv6 = [&source[..], &[0; 16], &[0xdc, 0x04, 0x01, 0xbb]].concat();
        let tlvs = [0x04, 0, 3, 0, 0, 0, 0x03, 0, 4, 1, 2, 3, 4];
        vec![
            (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n".to_vec(), Some("192.0.2.1:56324")),
            (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n".to_vec(), Some("255.255.255.255:65535")),
            (b"PROXY TCP4 127.0.0.1 127.0.0.1 0 0\r\n".to_vec(), Some("127.0.0.1:0")),
            (b"PROXY TCP6 2001:db8::1 ::1 56324 443\r\n".to_vec(), Some("[2001:db8::1]:56324")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff:ffff::ffff what ever 65535\r\n".to_vec(), None),
            (v2(0x21, 0x11, &ipv4), Some("192.0.2.1:56324")),
            (v2(0x21, 0x12, &ipv4), Some("192.0.2.1:56324")),
            (v2(0x21, 0x11, &[&ipv4[..], &tlvs].concat()), Some("192.0.2.1:56324")),
            (v2(0x21, 0x21, &ipv6), Some("[2001:db8::1]:56324")),
            (v2(0x21, 0x22, &[&ipv6[..], &tlvs].concat()), Some("[2001:db8::1]:56324")),
            (v2(0x21, 0x31, &[b'/'; 216]), None),
            (v2(0x21, 0x00, &[]), None),
            (v2(0x21, 0x00, &tlvs), None),
            (v2(0x20, 0x00, &[]), None),
            (v2(0x20, 0x11, &ipv4), None),
            (v2(0x20, 0x77, b"a health check"), None),
        ]
    }

    #[test]
    fn headers_name_the_client() {
        for (header, source) in headers() {
            assert_eq!(parse(&header), done(&header, source), "{header:x?}");
            let with_request = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            assert_eq!(parse(&with_request), done(&header, source), "{header:x?}");
            for end in 0..header.len() {
                assert_eq!(parse(&header[..end]), ProxyHeader::NeedMore, "{:x?}", &header[..end]);
            }
        }
    }

    #[test]
    fn other_protocols_are_told_by_their_first_bytes() {
        for start in [&b"GET /"[..], b"POST", b"\x7f\xf3\0\0", b"\x16\x03\x01", b"PROXy ", b"\r\n\r\nGET", b"\0"] {
            assert_eq!(parse(start), ProxyHeader::Absent, "{start:x?}");
        }
    }

    #[test]
    fn broken_headers_are_invalid() {
        let too_long = [V1_START, &[b'1'; V1_BYTES_MAX]].concat();
        let lines = [
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 1\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443 \r\n",
            "PROXY TCP4  192.0.2.1 198.51.100.2 56324 443\r\n",
            "PROXY TCP4 192.0.2.256 198.51.100.2 56324 443\r\n",
            "PROXY TCP4 2001:db8::1 ::1 56324 443\r\n",
            "PROXY TCP6 192.0.2.1 198.51.100.2 56324 443\r\n",
            "PROXY TCP4 192.0.2.1 nowhere 56324 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 +5 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 05 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 5 x\r\n",
            "PROXY UDP4 192.0.2.1 198.51.100.2 5 5\r\n",
            "PROXY \r\n",
            "PROXY \n",
        ];
        let mut broken: Vec<Vec<u8>> = lines.into_iter().map(|line| line.as_bytes().to_vec()).collect();
        broken.extend([
            too_long,
            b"PROXY UNKNOWN \xff\r\n".to_vec(),
            v2(0x11, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x21, &[0; 35]),
            v2(0x21, 0x31, &[0; 215]),
            v2(0x21, 0x41, &[0; 216]),
            v2(0x21, 0x13, &[0; 216]),
            v2(0x21, 0x11, &[0; HEADER_BYTES_MAX]),
        ]);
        for header in broken {
            assert!(matches!(parse(&header), ProxyHeader::Invalid(_)), "{:?}", header.escape_ascii().to_string());
        }
        // Said before anything follows that would have to be waited for.
        assert!(matches!(parse(&[V2_START, &[0x31]].concat()), ProxyHeader::Invalid(_)));
        assert!(matches!(parse(&[V2_START, &[0x21, 0x11, 0xff, 0xff]].concat()), ProxyHeader::Invalid(_)));
    }

    proptest! {
        #[test]
        fn noise_never_panics_and_what_is_done_is_within_the_input(
            start in prop_oneof![
                Just(V1_START.to_vec()), Just(V2_START.to_vec()), Just(v2(0x21, 0x11, &[])), Just(vec![]),
            ],
            noise in any::<Vec<u8>>(),
        ) {
            let input = [start, noise].concat();
            if let ProxyHeader::Done { consumed, .. } = parse(&input) {
                prop_assert!(consumed <= input.len());
                prop_assert_eq!(parse(&input[..consumed]), parse(&input));
            }
        }

        #[test]
        fn any_client_is_named(source: SocketAddr, target_port: u16) {
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            let line = format!("PROXY {family} {0} {0} {1} {target_port}\r\n", source.ip(), source.port());
            let source = SocketAddr::new(source.ip(), source.port());
            prop_assert_eq!(parse(line.as_bytes()), ProxyHeader::Done { consumed: line.len(), source: Some(source) });
        }
    }
}
