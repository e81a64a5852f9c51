//! Odd archives, made from seeds: what tar programs write, and what only somebody does who wants readers to disagree.

/// The size of a block in bytes.
const BLOCK: usize = 512;

/// The archive of a seed.
pub(crate) fn archive(seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    // A third has nothing odd, and of the others some have a lot.
    let percent = [0, 3, 10][random.usize(..3)];
    let mut archive = Odd { random, percent, time: 0, bytes: Vec::new() };
    for _ in 0..archive.random.usize(1..4) {
        archive.time = archive.pick(&[0, 1_700_000_000], &[0o777_7777_7777]);
        archive.extensions();
        archive.entry();
    }
    archive.end();
    archive.bytes
}

struct Odd {
    random: fastrand::Rng,
    /// How many choices of a hundred are odd.
    percent: u8,
    /// When the next entry was changed.
    time: u64,
    bytes: Vec<u8>,
}

/// What a header says, before its checksum.
struct Head {
    block: [u8; BLOCK],
}

impl Head {
    fn set(&mut self, at: usize, bytes: &[u8]) {
        self.block[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn sum(&self) -> u64 {
        self.block.iter().map(|byte| u64::from(*byte)).sum()
    }
}

impl Odd {
    fn is_odd(&mut self) -> bool {
        self.random.u8(..100) < self.percent
    }

    fn pick<T: Copy>(&mut self, usual: &[T], odd: &[T]) -> T {
        let choices = if self.is_odd() { odd } else { usual };
        choices[self.random.usize(..choices.len())]
    }

    /// A path, as long or as short as paths are.
    fn path(&mut self) -> Vec<u8> {
        let usual: [&[u8]; 5] = [b"etc/passwd", b"a", b"usr/lib/x y", "usr/share/é".as_bytes(), b"./x"];
        let odd: [&[u8]; 10] = [
            b"name\xff",
            b"a//b",
            b"a/./b",
            b"a/../b",
            b"/etc/passwd",
            b"tab\there",
            b"back\\slash",
            b"",
            b"a/",
            b"1 2=3\n",
        ];
        let mut path = self.pick(&usual, &odd).to_vec();
        if self.random.u8(..6) == 0 {
            path.extend_from_slice(b"-1234567890".repeat(self.random.usize(1..30)).as_slice());
        }
        path
    }

    /// Numbers in fields of a header.
    fn number(&mut self, head: &mut Head, at: usize, width: usize, value: u64) {
        let digits = width - 1;
        let octal = format!("{value:0digits$o}\0");
        let wide = |first: u8| {
            let mut field = vec![0; width];
            field[width - 8.min(width - 1)..].copy_from_slice(&value.to_be_bytes()[8 - 8.min(width - 1)..]);
            field[0] = first;
            field
        };
        let usual = [octal.clone().into_bytes(), format!("{value:0w$o} \0", w = width - 2).into_bytes(), wide(0x80)];
        let odd = [
            format!("{value:width$o}").into_bytes(),
            format!("{value:0width$o}").into_bytes(),
            format!("\0{value:0digits$o}").into_bytes(),
            format!("{value:<w$o}\0x", w = width - 2).into_bytes(),
            format!("+{value:0w$o}\0", w = width - 2).into_bytes(),
            format!("-{value:0w$o}\0", w = width - 2).into_bytes(),
            format!("\t{value:0w$o}\0", w = width - 2).into_bytes(),
            format!("{value:0w$o}8\0", w = width - 2).into_bytes(),
            vec![0; width],
            vec![b' '; width],
            wide(0x81),
            wide(0xc0),
            wide(0xff),
            wide(0x82),
        ];
        // Modes and device numbers are never wide.
        let forms = if width == 8 && !(108..124).contains(&at) { 0..2 } else { 0..3 };
        let which = match self.is_odd() {
            true => usual.len() + self.random.usize(..odd.len()),
            false if self.random.u8(..4) == 0 => self.random.usize(forms),
            false => 0,
        };
        let field = usual.iter().chain(&odd).nth(which).unwrap();
        let field: Vec<u8> = if field.len() == width { field.clone() } else { octal.into_bytes() };
        head.set(at, &field[..width]);
    }

    /// A header without a name or checksum.
    fn head(&mut self, kind: u8, size: u64) -> Head {
        let mut head = Head { block: [0; BLOCK] };
        let mode = self.pick(&[0o644, 0o755, 0o4755, 0o1777], &[0o100_644, 0o7777, 0]);
        self.number(&mut head, 100, 8, mode);
        let owner = self.pick(&[0, 101, 70000], &[0o777_7777]);
        self.number(&mut head, 108, 8, owner);
        self.number(&mut head, 116, 8, owner);
        self.number(&mut head, 124, 12, size);
        let time = self.pick(&[self.time], &[1, 1 << 40]);
        self.number(&mut head, 136, 12, time);
        head.block[156] = kind;
        let magic: &[u8; 8] = self.pick(
            &[b"ustar\x0000", b"ustar\x0000", b"ustar  \0"],
            &[&[0; 8], b"ustar\x0001", b"ustar\0\0\0", b"ustar 00", b"USTAR\x0000"],
        );
        head.set(257, magic);
        let names: [&[u8]; 2] = [b"root", b"mail"];
        let user = self.pick(&names, &[b"a:b", b"\xff", b"two\0names", b"0123456789012345678901234567890x"]);
        head.set(265, user);
        head.set(297, self.random.choice(names).unwrap());
        if self.random.bool() {
            self.number(&mut head, 329, 8, u64::from(kind));
            self.number(&mut head, 337, 8, 1);
        }
        if self.is_odd() {
            let (at, what): (usize, &[u8]) = self
                .random
                .choice([
                    (345, &b"prefix"[..]),
                    (345, b"prefix/"),
                    (345, b"/prefix"),
                    (500, b"x"),
                    (508, b"tar\0"),
                    (475, b"atime"),
                    (345, b"00000000001\x0000000000002\0"),
                    (386, b"00000000000\x0000000000002\0"),
                    (157, b"target"),
                    (257, b"ustar\x0000"),
                ])
                .unwrap();
            head.set(at, what);
        }
        head
    }

    fn write(&mut self, mut head: Head) {
        head.block[148..156].fill(b' ');
        let (sum, high) = (head.sum(), head.block.iter().filter(|byte| **byte >= 0x80).count() as u64);
        let signed = sum.wrapping_sub(256 * high);
        let odd = [
            format!("{sum:07o}\0"),
            format!("{sum:08o}"),
            format!("{sum:>6o}\0 "),
            format!("{signed:06o}\0 "),
            format!("{sum:06o}  "),
            format!("{:06o}\0 ", sum + 1),
            format!("{sum:o}\0\0\0\0\0\0\0\0"),
            format!("{sum:06o}\0x"),
        ];
        let usual = format!("{sum:06o}\0 ");
        let field = if self.is_odd() { self.random.choice(&odd).unwrap() } else { &usual };
        let field = if field.len() < 8 { usual.as_bytes() } else { &field.as_bytes()[..8] };
        if self.is_odd() && self.random.bool() {
            head.set(148, &[0x80, 0, 0, 0]);
            head.set(152, &u32::try_from(sum).unwrap().to_be_bytes());
        } else {
            head.set(148, field);
        }
        self.bytes.extend_from_slice(&head.block);
    }

    /// Content with its padding, which is mostly zeros.
    fn content(&mut self, content: &[u8]) {
        self.bytes.extend_from_slice(content);
        let fill = if self.is_odd() { b'p' } else { 0 };
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), fill);
    }

    fn entry(&mut self) {
        let kind = self.pick(b"00000001223456\0", b"7SDMNVXs89\0\0\xff");
        let own = if matches!(kind, b'1'..=b'6') && !self.is_odd() { 0 } else { self.random.usize(..1500) };
        let mut head = self.head(kind, own as u64);
        let mut name = self.path();
        if kind == b'5' && self.random.bool() || self.is_odd() {
            name.push(b'/');
        }
        let is_posix = head.block[257..263] == *b"ustar\0";
        if name.len() > 100 && is_posix && self.random.bool() {
            let prefix = name[..name.len() - 100].iter().take(155).copied().collect::<Vec<_>>();
            head.set(345, &prefix);
            name.drain(..name.len() - 100);
        }
        name.truncate(100);
        head.set(0, &name);
        if self.is_odd() && name.len() < 90 {
            head.set(name.len() + 1, b"hidden");
        }
        if matches!(kind, b'1' | b'2') || self.is_odd() {
            let target = self.path();
            head.set(157, &target[..target.len().min(100)]);
        }
        self.write(head);
        let content: Vec<u8> = (0..own).map(|_| self.random.u8(..)).collect();
        self.content(&content);
    }

    /// Extension headers, of which an entry mostly has one or none.
    fn extensions(&mut self) {
        let count = if self.is_odd() { self.random.usize(2..4) } else { usize::from(self.random.u8(..10) < 4) };
        for _ in 0..count {
            match self.pick(b"xxxLK", b"gVAX") {
                b'x' => self.records(b'x'),
                kind @ (b'L' | b'K') => self.long_name(kind),
                kind => self.records(kind),
            }
        }
    }

    fn extension(&mut self, kind: u8, content: &[u8]) {
        let mut head = self.head(kind, content.len() as u64);
        head.set(0, if kind == b'x' { b"PaxHeaders/x" } else { b"././@LongLink" });
        self.write(head);
        self.content(content);
    }

    fn long_name(&mut self, kind: u8) {
        let mut name = self.path();
        name.extend_from_slice(self.pick(&[&b"\0"[..], b"\0", b""], &[b"\0hidden", b"\0\0", b"\n", b"/"]));
        self.extension(kind, &name);
    }

    fn records(&mut self, kind: u8) {
        let mut content = Vec::new();
        let mut keys = ["path", "mtime", "SCHILY.xattr.user.x", "uname", "linkpath", "atime"].to_vec();
        self.random.shuffle(&mut keys);
        keys.truncate(self.random.usize(1..3));
        if self.is_odd() {
            let odd = [
                "path",
                "size",
                "uid",
                "gid",
                "GNU.sparse.major",
                "GNU.sparse.name",
                "GNU.sparse.size",
                "hdrcharset",
                "comment",
                "unknown",
                "SCHILY.xattr.",
                "SCHILY.acl.access",
                "LIBARCHIVE.xattr.user.x",
                "ctime",
                "gname",
                "APK-TOOLS.checksum.SHA1",
                "SCHILY.realsize",
                "mtime",
                "atime",
                "SCHILY.devmajor",
                "VENDOR.x",
            ];
            keys.push(self.random.choice(odd).unwrap());
        }
        for key in keys {
            let value = self.value(key);
            self.record(&mut content, key, &value);
        }
        if self.is_odd() {
            content.extend_from_slice(
                self.random.choice([&b"\0"[..], b"\n", b"5 x=", b"7 path\n", b"99 path=x\n"]).unwrap(),
            );
        }
        self.extension(kind, &content);
    }

    fn value(&mut self, key: &str) -> Vec<u8> {
        let usual = match key {
            "path" | "linkpath" | "GNU.sparse.name" => self.path(),
            "mtime" | "atime" | "ctime" => self.time_value(),
            "size" | "uid" | "gid" | "GNU.sparse.size" | "SCHILY.realsize" => {
                self.pick(&[&b"0"[..], b"101", b"700"], &[b"-1", b"+1", b"007", b"x", b"18446744073709551616"]).to_vec()
            }
            "GNU.sparse.major" => b"1".to_vec(),
            _ => self.pick(&[&b"root"[..], b"mail"], &[b"\0", "é".as_bytes(), b"\xff\xfe"]).to_vec(),
        };
        if self.is_odd() {
            let tails: [&[u8]; 5] = [b"\n", b"\0", b"\n12 path=x/y\n", b"\n9 size=1\n", b"="];
            let tail = self.random.choice(tails).unwrap();
            return if self.is_odd() { Vec::new() } else { [&usual, tail].concat() };
        }
        usual
    }

    fn time_value(&mut self) -> Vec<u8> {
        let time = self.time;
        let odd = [
            "-1",
            "1.",
            ".5",
            "x",
            "9223372036854775808",
            "99999999999999999999.1",
            "+5",
            " 5",
            "1e9",
            "-0.5",
            "1.5x",
            "1",
        ];
        let odd = self.random.choice(odd).unwrap().to_owned();
        let usual = if self.random.bool() { time.to_string() } else { format!("{time}.25") };
        if self.is_odd() { odd } else { usual }.into_bytes()
    }

    fn record(&mut self, out: &mut Vec<u8>, key: &str, value: &[u8]) {
        let rest = key.len() + value.len() + 3;
        let length = (rest..rest + 20).find(|length| *length == rest + length.to_string().len()).unwrap();
        let length = match self.pick(&[0_u8], &[1, 2, 3, 4]) {
            0 => length.to_string(),
            1 => format!("0{}", length + 1),
            2 => format!("+{}", length + 1),
            3 => (length + 1).to_string(),
            _ => (length - 1).to_string(),
        };
        out.extend_from_slice(format!("{length} {key}=").as_bytes());
        out.extend_from_slice(value);
        out.push(b'\n');
    }

    fn end(&mut self) {
        match self.pick(&[0_u8], &[1, 2, 3, 4, 5, 6, 7]) {
            0 => self.zeros(2 * BLOCK),
            1 => self.zeros(20 * BLOCK),
            2 => {}
            3 => self.zeros(BLOCK),
            4 => self.zeros(BLOCK + 100),
            5 => {
                self.zeros(2 * BLOCK);
                self.entry();
            }
            6 => {
                self.zeros(BLOCK);
                self.entry();
            }
            _ => {
                let length = self.bytes.len() - self.random.usize(1..self.bytes.len());
                self.bytes.truncate(length);
            }
        }
    }

    fn zeros(&mut self, count: usize) {
        self.bytes.resize(self.bytes.len() + count, 0);
    }
}
