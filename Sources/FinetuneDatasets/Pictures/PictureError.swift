// Every sentence that the picture half of this room says when a file is no picture it can use.

/// Why bytes are no picture, and what to do about it.
package struct PictureError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was found and what was expected, without a full stop.
    package let reason: String
    /// What to do next, a whole sentence.
    package let nextStep: String
    /// Whether it is about a picture of a kind that is not read.
    var isOtherPicture = false

    /// The whole sentence about the file that the bytes came from.
    package func message(path: String) -> String { "cannot decode '\(path)': \(reason). \(nextStep)" }

    package var description: String { "cannot decode the picture: \(reason). \(nextStep)" }
}

extension PictureError {
    private static let kinds = PictureFormat.list

    static let empty = PictureError(
        reason: "it is empty, expected \(kinds)", nextStep: "Fetch it again, or remove it.")

    static let gitPointer = PictureError(
        reason: "it is a git-lfs pointer, not the picture itself", nextStep: "Run: git lfs pull")

    /// A file of a known kind that is no picture at all.
    static func notAPicture(_ kind: String) -> PictureError {
        PictureError(reason: "it is \(kind), expected \(kinds)", nextStep: "Replace or remove it.")
    }

    /// A picture of a kind that is not read.
    static func otherPicture(_ kind: String) -> PictureError {
        PictureError(
            reason: "it is \(kind), expected \(kinds)", nextStep: "Convert it to PNG.", isOtherPicture: true)
    }

    static func unknown(firstBytes: String) -> PictureError {
        PictureError(
            reason: "its first bytes, \(firstBytes), are those of no known kind of picture, expected \(kinds)",
            nextStep: "Open it in an image viewer to see what it is, or remove it.")
    }

    static func noPixels(width: Int, height: Int) -> PictureError {
        PictureError(reason: "it claims \(width) × \(height) pixels, expected at least 1 × 1", nextStep: "Remove it.")
    }

    static func tooLarge(width: Int, height: Int, pixelLimit: Int) -> PictureError {
        PictureError(
            reason: "it claims \(width) × \(height) pixels, expected at most \(pixelLimit), "
                + "and at most \(Picture.sideLimit) on a side",
            nextStep: "Scale it down, or remove it.")
    }

    static func tooManyScans(_ scans: Int, pixels: Int) -> PictureError {
        PictureError(
            reason:
                "the JPEG has \(scans) scans of \(pixels) pixels, more than any camera or program writes, which would take minutes to decode",
            nextStep: "Remove it.")
    }

    /// A file that ends before its picture does.
    static func truncated(_ kind: String) -> PictureError {
        PictureError(reason: "the \(kind) is cut off before its end", nextStep: "Fetch it again.")
    }

    /// A file that its library gave up on. `complaint` is the library's own text.
    static func damaged(_ kind: String, _ complaint: String) -> PictureError {
        PictureError(reason: "the \(kind) is damaged (\(complaint))", nextStep: "Fetch it again, or remove it.")
    }

    /// A legal variant of a format that is not read.
    static func unsupported(_ kind: String, _ variant: String) -> PictureError {
        PictureError(reason: "the \(kind) has \(variant), which is not read", nextStep: "Save it as PNG.")
    }

    /// A file that the helper's library refused.
    ///
    /// - Parameters:
    ///   - kind: By the names of `CodecFailure.Kind`.
    ///   - detail: The library's own text, a size, or a Debian package.
    static func refused(_ name: String, kind: String, detail: String) -> PictureError {
        switch kind {
        case "truncated": return .truncated(name)
        case "unsupported": return .unsupported(name, detail)
        case "noMemory": return .noMemory(name)
        case "noCodec":
            return PictureError(
                reason: "no decoder for the \(name) is installed", nextStep: "Run: sudo apt-get install \(detail)")
        case "tooLarge":
            return PictureError(
                reason: "it claims \(detail) pixels, expected at most \(Picture.pixelLimit), "
                    + "and at most \(Picture.sideLimit) on a side",
                nextStep: "Scale it down, or remove it.")
        case "noPixels":
            return PictureError(reason: "it claims \(detail) pixels, expected at least 1 × 1", nextStep: "Remove it.")
        default: return .damaged(name, detail)
        }
    }

    /// The program that decodes HEIC, AVIF and JPEG XL is not where it should be.
    static func helperMissing(_ path: String, _ name: String) -> PictureError {
        PictureError(
            reason: "\(name) is decoded by a program of its own, and '\(path)' is missing",
            nextStep: "Build or install finetune again as a whole.")
    }

    /// That program cannot be started, or gets no memory.
    static func noHelper(_ reason: String) -> PictureError {
        PictureError(
            reason: "finetune-read-pictures, which decodes it, cannot run (\(reason))",
            nextStep: "Try: finetune doctor")
    }

    /// That program ended on a picture.
    static func lost(_ name: String, _ ending: PictureHelper.Ending) -> PictureError {
        let remove = "Remove it, or save it as PNG."
        switch ending {
        case .crashed(let signal):
            return PictureError(
                reason: "the \(name) made its decoder crash (signal \(signal)), so it is damaged or hostile",
                nextStep: remove)
        case .tooSlow:
            return PictureError(
                reason: "decoding the \(name) took more time than such a picture needs, so it is damaged or hostile",
                nextStep: remove)
        case .stopped(let signal):
            return PictureError(
                reason: "the program that decodes the \(name) was ended by signal \(signal) from outside",
                nextStep: "Try again.")
        case .failed(let code):
            return PictureError(
                reason:
                    "the decoder of the \(name) gave up without an answer (exit \(code)), so it is damaged or hostile",
                nextStep: remove)
        }
    }

    static func noMemory(_ kind: String) -> PictureError {
        PictureError(
            reason: "no memory was left to decode the \(kind)", nextStep: "Free some memory, or decode less at a time.")
    }

    /// A library that decodes something else than what is in a file.
    static func wrongPixels(_ name: String) -> PictureError {
        PictureError(
            reason: "the \(name) is decoded to other pixels than it has",
            nextStep: "Install another release of the library that decodes it.")
    }

    static func badRecipe(_ found: String, expected: String) -> PictureError {
        PictureError(
            reason: "the recipe for images has \(found), expected \(expected)", nextStep: "Correct the recipe.")
    }
}
