// What the libraries say of themselves that decode pictures.

internal import CFinetunePNG
internal import CFinetuneTIFF
internal import CFinetuneWebP
package import FinetuneFiles

extension LibraryVersion {
    /// Those that decode pictures. TurboJPEG does not say its version.
    package static var ofDatasets: [LibraryVersion] {
        let webP = WebPGetDecoderVersion()
        let tiff = String(cString: TIFFGetVersion()).split(separator: "\n").first.map(String.init) ?? ""
        return [
            LibraryVersion("libspng", String(cString: spng_version_string())),
            LibraryVersion("libwebp", "\(webP >> 16).\(webP >> 8 & 255).\(webP & 255)"),
            LibraryVersion("libtiff", tiff.replacing("LIBTIFF, Version ", with: "")),
        ]
    }
}
