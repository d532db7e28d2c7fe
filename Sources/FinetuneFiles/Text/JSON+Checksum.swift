// Documents that the program writes for itself, with a checksum: a damaged one counts as missing.

extension JSON {
    private static let checksumKey = "checksum"

    /// An object with the hash of its text as a last member.
    package var withChecksum: JSON {
        .object((members ?? []) + [.init(Self.checksumKey, .string(ContentHash(of: text).text))])
    }

    /// The object without its checksum; nil if the checksum does not match.
    package var checked: JSON? {
        guard let members, let last = members.last, last.key == Self.checksumKey else { return nil }
        let document = JSON.object(Array(members.dropLast()))
        return last.value.stringValue == ContentHash(of: document.text).text ? document : nil
    }
}
