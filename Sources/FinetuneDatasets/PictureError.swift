// Every sentence that the picture half of this room says when a file is no picture it can use.

/// Why bytes are no picture, and what to do about it.
package struct PictureError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was found and what was expected, without a full stop.
    package let reason: String
    /// What to do next, a whole sentence.
    package let nextStep: String

    /// The whole sentence about the file that the bytes came from.
    package func message(path: String) -> String { "cannot decode '\(path)': \(reason). \(nextStep)" }

    package var description: String { "cannot decode the picture: \(reason). \(nextStep)" }
}

extension PictureError {
    private static let kinds = "JPEG, PNG, WebP, TIFF or BMP"

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
        PictureError(reason: "it is \(kind), expected \(kinds)", nextStep: "Convert it to PNG.")
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

    static func noMemory(_ kind: String) -> PictureError {
        PictureError(
            reason: "no memory was left to decode the \(kind)", nextStep: "Free some memory, or decode less at a time.")
    }

    static func badRecipe(_ found: String, expected: String) -> PictureError {
        PictureError(
            reason: "the recipe for images has \(found), expected \(expected)", nextStep: "Correct the recipe.")
    }
}
