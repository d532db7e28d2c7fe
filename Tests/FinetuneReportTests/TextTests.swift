// Bytes, numbers and templates as text.

import Testing

@testable import FinetuneReport

@Suite("Text") struct TextTests {
    @Test(
        "of bytes is that of RFC 4648, section 10",
        arguments: [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ])
    func base64(_ bytes: String, _ text: String) { #expect(Base64.text(Array(bytes.utf8)) == text) }

    @Test("of bytes uses the whole alphabet")
    func alphabet() {
        #expect(
            Base64.text([0x00, 0x10, 0x83, 0xFB, 0xEF, 0xBE, 0xFF, 0xFF, 0xFF])
                == "ABCD++++////".replacing("++++", with: "++++"))
    }

    @Test("of strangers has nothing left that a browser would act on")
    func escaping() {
        #expect(Escaping.html("<a href='x'>\"&\"</a>") == "&lt;a href=&#39;x&#39;&gt;&quot;&amp;&quot;&lt;/a&gt;")
        #expect(
            Escaping.html("a\tb\nc\u{0}\u{1B}\u{7F}\u{9B}\u{202E}\u{FFFF}d") == "a\tb\nc"
                + String(repeating: "\u{FFFD}", count: 6) + "d")
        #expect(Escaping.html("Übung 猫 🐈") == "Übung 猫 🐈")
        #expect(Escaping.html("<\u{301}").unicodeScalars.elementsEqual("&lt;\u{301}".unicodeScalars))
        #expect(Escaping.html("\r\n") == "\u{FFFD}\n")
    }

    @Test("of numbers has a dash where there is none")
    func numbers() {
        #expect(Report.percent(0.8431) == "84.3\u{00A0}%" && Report.percent(.nan) == "–" && Report.percent(nil) == "–")
        #expect(Report.number(-1234.5, places: 1) == "−1234.5" && Report.number(.infinity) == "–")
        #expect(Report.number(12_345.678) == "12\u{202F}345.68" && Report.count(3_670_000) == "3\u{202F}670\u{202F}000")
        #expect(Report.number(1e300) == "1e300" && Report.number(-2.5e-12) == "−2.5e−12" && Report.number(0) == "0.00")
        #expect(Report.scientific(9.99e-5) == "1e−4" && Report.count(-5) == "−5")
    }

    @Test("in templates is always put in escaped by us, never twice", arguments: Templates.sources.map(\.name))
    func templates(_ name: String) throws {
        let bytes = try #require(Templates.sources.first { $0.name == name }).bytes
        let source = String(decoding: bytes, as: UTF8.self)
        for tag in source.split(separator: "{{").dropFirst() {
            #expect(["{", "#", "/", "^", ">"].contains(tag.first), "\(tag.prefix(20))")
        }
    }
}
