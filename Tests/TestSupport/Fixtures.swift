// What several test targets need: fixtures by name, the folder of shared data where there is one, the built program.

package import FinetuneFiles
internal import Glibc

/// Files that tests compare with.
package enum Fixtures {
    /// A fixture of the target whose test asks, in whichever of the target's folders the test is.
    package static func path(_ name: String, for test: String = #filePath) -> String {
        let tests = Path.join(package, "Tests")
        let target = test.dropFirst(tests.count + 1).prefix { $0 != "/" }
        return Path.join(Path.join(Path.join(tests, String(target)), "Fixtures"), name)
    }

    package static func json(_ name: String, for test: String = #filePath) throws -> JSON {
        try JSON(parsing: FileSystem.read(path(name, for: test)))
    }

    /// The package's own folder.
    package static var package: String { Path.parent(of: Path.parent(of: Path.parent(of: #filePath))) }

    /// A folder of larger real files that stands beside some checkouts; nil where it does not, and tests say so.
    package static func shared(_ name: String) -> String? {
        let path = Path.join(Path.join(Path.parent(of: package), "shared"), name)
        return FileSystem.kind(of: path) == nil ? nil : path
    }

    /// Where the build put the programs: beside the test bundle.
    package static var products: String {
        Path.parent(of: FileSystem.programPath.hasSuffix(".xctest") ? FileSystem.programPath : bundle)
    }

    private static var bundle: String {
        CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? FileSystem.programPath
    }

    package static var readingHelper: String { Path.join(products, "finetune-read-weights") }

    /// A new empty folder that the caller removes by `remove`.
    package static func temporaryFolder() throws -> String {
        var template = Array("/tmp/finetune-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw FileError(.cannotCreate, "no temporary folder") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    package static func remove(_ folder: String) {
        for name in (try? FileSystem.list(folder)) ?? [] {
            let path = Path.join(folder, name)
            if FileSystem.kind(of: path) == .directory { remove(path) } else { FileSystem.remove(path) }
        }
        rmdir(folder)
    }
}

extension JSON {
    /// A list of numbers.
    package var numbers: [Double] { arrayValue?.compactMap(\.doubleValue) ?? [] }
    package var integers: [Int] { arrayValue?.compactMap(\.intValue) ?? [] }
    package var bytes: [UInt8] { integers.map { UInt8(clamping: $0) } }
}
