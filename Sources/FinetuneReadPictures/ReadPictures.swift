// finetune-read-pictures: the process in which libheif, libavif and libjxl decode pictures.
//
// Their decoders are large and have failed on hostile files. So they run here, under a filter of system calls that is set
// before they see a file, and under limits of memory and time for each file; a crash or a hang ends this process, costs
// that picture and nothing else, and finetune starts another. Each line of standard input is a request; its file lies at the
// start of descriptor 3, shared memory, and its pixels go behind it. A line of JSON on standard output answers.

internal import CFinetuneSeccomp
internal import FinetuneCodecs
internal import FinetuneFiles
internal import Glibc

@main
struct ReadPictures {
    static func main() {
        guard FileSystem.arguments.isEmpty else {
            say(["failure": "usage", "detail": "finetune-read-pictures is run by finetune"])
            exit(64)
        }
        finetune_share_heap()
        listenToSignals()
        Codec.prepare()
        let budget = Budget()
        guard budget.begin(), finetune_confine_threads() == 0 else {
            say([
                "failure": "system", "detail": .string("the system refuses to confine it (\(FileError.reason(errno)))"),
            ])
            exit(1)
        }
        say([
            "libraries": .array(
                LibraryVersion.ofCodecs.map { ["name": .string($0.name), "version": .string($0.version)] })
        ])
        while let line = nextLine(), let request = Request(line) { say(answer(request, budget)) }
        _exit(0)
    }

    /// Takes back the signal mask that a process inherits from the thread that started it.
    private static func listenToSignals() {
        var none = sigset_t()
        sigemptyset(&none)
        sigprocmask(SIG_SETMASK, &none, nil)
        // Shared memory counts as a file; that it may not grow is an error then, with a reason.
        signal(SIGXFSZ, SIG_IGN)
    }

    // MARK: Requests

    /// `heic 12345 178956970 1000000`: the kind, the file's bytes, the most pixels and the most on a side.
    private struct Request {
        let codec: Codec
        let byteCount: Int
        let pixelLimit: Int
        let sideLimit: Int

        init?(_ line: String) {
            let words = line.split(separator: " ").map(String.init)
            let numbers = words.dropFirst().compactMap { Int($0) }
            guard words.count == 4, numbers.count == 3, let codec = Codec(rawValue: words[0]), numbers[0] > 0 else {
                return nil
            }
            (self.codec, byteCount, pixelLimit, sideLimit) = (codec, numbers[0], numbers[1], numbers[2])
        }
    }

    private static func nextLine() -> String? {
        var (line, byte): ([UInt8], UInt8) = ([], 0)
        while line.count < 256 {
            let count = read(0, &byte, 1)
            if count < 0, errno == EINTR { continue }
            guard count == 1 else { return nil }
            if byte == 0x0A { return String(decoding: line, as: UTF8.self) }
            line.append(byte)
        }
        return nil
    }

    private static func answer(_ request: Request, _ budget: Budget) -> JSON {
        budget.open(fileSize: request.byteCount)
        defer { budget.close() }
        let memory = mmap(nil, request.byteCount, PROT_READ, MAP_SHARED, 3, 0)
        guard let memory, memory != MAP_FAILED else { return ["failure": "noMemory", "detail": ""] }
        defer { munmap(memory, request.byteCount) }
        let file = UnsafeRawBufferPointer(start: memory, count: request.byteCount)
        let limits = CodecLimits(pixelLimit: request.pixelLimit, sideLimit: request.sideLimit) {
            budget.extend(pixels: $0, fileSize: request.byteCount)
        }
        do {
            // Pixels begin at a page of their own.
            let offset = (request.byteCount + 4095) / 4096 * 4096
            switch try request.codec.decode(file, limits) {
            case .jpeg(let bytes):
                guard handOver(bytes, at: offset) else { return ["failure": "noMemory", "detail": ""] }
                return ["jpeg": .integer(bytes.count), "offset": .integer(offset)]
            case .pixels(let pixels):
                let notes = pixels.notes.exif + pixels.notes.xmp
                guard handOver(pixels.bytes, at: offset), handOver(notes, at: offset + pixels.bytes.count) else {
                    return ["failure": "noMemory", "detail": ""]
                }
                return [
                    "width": .integer(pixels.width), "height": .integer(pixels.height),
                    "channels": .integer(pixels.channels),
                    "bits": .integer(pixels.bits), "orientation": .integer(pixels.orientation),
                    "offset": .integer(offset), "exif": .integer(pixels.notes.exif.count),
                    "xmp": .integer(pixels.notes.xmp.count),
                ]
            }
        } catch let failure as CodecFailure {
            return ["failure": .string(failure.kind.rawValue), "detail": .string(failure.detail)]
        } catch {
            return ["failure": "damaged", "detail": .string("\(error)")]
        }
    }

    private static func handOver(_ bytes: [UInt8], at offset: Int) -> Bool {
        bytes.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count {
                let written = pwrite(3, bytes.baseAddress.map { $0 + done }, bytes.count - done, off_t(offset + done))
                if written < 0, errno == EINTR { continue }
                guard written > 0 else { return false }
                done += written
            }
            return true
        }
    }

    private static func say(_ answer: JSON) {
        let bytes = Array((answer.text + "\n").utf8)
        var start = 0
        while start < bytes.count {
            let written = bytes[start...].withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
            if written < 0, errno == EINTR { continue }
            if written <= 0 { _exit(1) }
            start += written
        }
    }
}
