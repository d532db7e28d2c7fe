// What the libraries say of themselves that decode pictures in the helper.

internal import CFinetuneAVIF
internal import CFinetuneHEIF
internal import CFinetuneJXL
package import FinetuneFiles

extension LibraryVersion {
    /// Those of the kinds in `Codec`.
    package static var ofCodecs: [LibraryVersion] {
        let jxl = JxlDecoderVersion()
        return [
            LibraryVersion("libheif", String(cString: heif_get_version())),
            LibraryVersion("libavif", String(cString: avifVersion())),
            LibraryVersion("libjxl", "\(jxl / 1_000_000).\(jxl / 1000 % 1000).\(jxl % 1000)"),
        ]
    }
}
