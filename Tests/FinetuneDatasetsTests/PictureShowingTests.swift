// Thumbnails, JPEG files and maps of heat.

import FinetuneModels
import Testing

@testable import FinetuneDatasets

@Suite("A picture for people") struct PictureShowingTests {
    private func ramp(width: Int, height: Int, channels: Int) -> Picture {
        let bytes = (0..<width * height * channels).map { UInt8($0 / channels % width * 255 / max(1, width - 1)) }
        return Picture(width: width, height: height, channels: channels, bytes: bytes)
    }

    @Test("comes back from its JPEG nearly as it was", arguments: [1, 3])
    func jpeg(_ channels: Int) throws {
        let picture = ramp(width: 64, height: 40, channels: channels)
        let file = try picture.jpeg(quality: 95)
        #expect(PictureFormat(of: file) == .jpeg && file.count < picture.bytes.count)
        let again = try Picture(decoding: file, exif: .ignore)
        #expect(again.width == 64 && again.height == 40)
        let error = zip(again.bytes, picture.color.bytes).map { abs(Int($0) - Int($1)) }.max() ?? 255
        #expect(error <= 6)
    }

    @Test("is made smaller with its shape, and never larger")
    func thumbnail() {
        let wide = ramp(width: 300, height: 100, channels: 3).thumbnail(side: 60)
        #expect(wide.width == 60 && wide.height == 20)
        #expect(ramp(width: 30, height: 10, channels: 3).thumbnail(side: 60).width == 30)
        let thin = ramp(width: 1, height: 500, channels: 1).thumbnail(side: 50)
        #expect(thin.width == 1 && thin.height == 50)
    }

    @Test("is left alone where a map is cold and covered where it is hot")
    func heat() {
        let gray = Picture(width: 4, height: 4, channels: 1, bytes: [UInt8](repeating: 100, count: 16))
        #expect(gray.overlaid(with: [0, 0, 0, 0], mapHeight: 2, mapWidth: 2) == gray.color)
        let hot = gray.overlaid(with: [1], mapHeight: 1, mapWidth: 1)
        // A quarter of 100 and three quarters of (252, 250, 160).
        #expect(Array(hot.bytes.prefix(3)) == [214, 212, 145])
        let half = gray.overlaid(with: [0, 1], mapHeight: 1, mapWidth: 2)
        #expect(half.bytes[0] == 100 && half.bytes[9] == 214)
    }
}
