// Curves as TensorBoard reads them: TFRecord frames (length, checksum, data, checksum) of tensorflow.Event messages.

internal import Glibc

/// An event file of scalars. What was appended is on disk; a record that was cut off is passed over by TensorBoard.
package final class TensorBoardLog: Sendable {
    private let file: LogFile
    /// Whether what an earlier start logged from the first step on is to be forgotten.
    private let continues: Bool

    /// Begins a file in a folder, which is made where there is none.
    ///
    /// - Parameter continuing: Whether event files of earlier starts stay: TensorBoard shows them as one run.
    /// - Throws: `FileError`.
    package init(_ folder: String, continuing: Bool) throws {
        if !continuing { Self.remove(folder) }
        try FileSystem.makeDirectory(folder)
        continues = try FileSystem.list(folder).contains { $0.hasPrefix(Self.prefix) }
        let name = "\(Self.prefix)\(Int(Self.now))\(Self.mark)\(getpid())"
        file = try LogFile(Path.join(folder, name), continuing: false)
        append(step: 0) { $0.set(3, "brain.Event:2") }
    }

    /// Removes this program's event files in a folder, and the folder if nothing else is in it. A link is not followed.
    package static func remove(_ folder: String) {
        guard FileSystem.isOwnDirectory(folder), let names = try? FileSystem.list(folder) else { return }
        for name in names where name.hasPrefix(prefix) && name.contains(mark) {
            FileSystem.remove(Path.join(folder, name))
        }
        FileSystem.removeEmptyDirectory(folder)
    }

    private static let prefix = "events.out.tfevents."
    /// Tells this program's files from those of others.
    private static let mark = ".finetune."

    /// Appends what is known of one step.
    ///
    /// - Parameters:
    ///   - scalars: Values by tag, such as `loss/train`.
    ///   - isFirst: Whether it is the first since the file was begun.
    package func append(_ scalars: [(tag: String, value: Double)], step: Int, isFirst: Bool) {
        if isFirst, continues {
            // SessionLog START: an earlier start may have got further than the checkpoint that goes on.
            append(step: step) { event in
                var session = Protobuf()
                session.set(1, 1)
                event.set(7, session)
            }
        }
        append(step: step) { event in
            var summary = Protobuf()
            for scalar in scalars {
                var value = Protobuf()
                value.set(1, scalar.tag)
                value.set(2, Float(scalar.value))
                summary.set(1, value)
            }
            event.set(5, summary)
        }
    }

    /// Why a record is missing, if one is.
    package var failure: FileError? { file.failure }

    private func append(step: Int, _ content: (inout Protobuf) -> Void) {
        var event = Protobuf()
        event.set(1, Self.now)
        event.set(2, step)
        content(&event)
        file.append(Self.frame(event.bytes))
    }

    private static var now: Double {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    /// One TFRecord.
    static func frame(_ data: [UInt8]) -> [UInt8] {
        let length = UInt64(data.count).littleEndianBytes
        return length + masked(length).littleEndianBytes + data + masked(data).littleEndianBytes
    }

    private static func masked(_ bytes: [UInt8]) -> UInt32 {
        let checksum = CRC32C.checksum(of: bytes)
        return (checksum >> 15 | checksum << 17) &+ 0xA282_EAD8
    }
}

/// The checksum of RFC 3720, appendix B.4 (Castagnoli's polynomial).
enum CRC32C {
    static func checksum(of bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~0) { table[Int(($0 ^ UInt32($1)) & 0xFF)] ^ $0 >> 8 }
    }

    private static let table: [UInt32] = (0..<256).map { index in
        (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0x82F6_3B78 ^ value >> 1 : value >> 1 }
    }
}
