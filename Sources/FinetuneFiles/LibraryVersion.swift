// What a C library says of itself.

internal import CFinetuneXXHash
internal import CFinetuneZlib

/// A library that the program runs with, by the version that is loaded.
package struct LibraryVersion: Sendable {
    package let name: String
    package let version: String

    package init(_ name: String, _ version: String) { (self.name, self.version) = (name, version) }

    /// Those of this room.
    package static var ofFiles: [LibraryVersion] {
        let hash = XXH_versionNumber()
        return [
            LibraryVersion("zlib", String(cString: zlibVersion())),
            LibraryVersion("xxHash", "\(hash / 10000).\(hash / 100 % 100).\(hash % 100)"),
        ]
    }
}
