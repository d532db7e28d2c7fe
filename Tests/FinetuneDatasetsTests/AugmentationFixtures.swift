// Reads what scripts/fixtures/augmentation.py made: pictures before and after torchvision's operations, and how its
// parameters are distributed.

import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneDatasets

struct AugmentationFixtures {
    let manifest: JSON
    private let archive: ZipArchive
    private let pixels: [UInt8]

    init() throws {
        manifest = try Fixtures.json("augmentation.json")
        archive = try ZipArchive(FileSystem.read(Fixtures.path("augmentation.npz")), name: "augmentation.npz")
        pixels = try Self.array("pixels", archive).bytes
    }

    private static func array(_ name: String, _ archive: ZipArchive) throws -> NumpyArray {
        let member = try #require(archive.member(name + ".npy"))
        return try NumpyArray(parsing: archive.content(of: member), name: name)
    }

    func cases(_ key: String) throws -> [JSON] { try #require(manifest[key]?.arrayValue) }

    /// The picture that an entry names under `key`.
    func picture(_ entry: JSON, _ key: String) throws -> Picture {
        let place = try #require(entry[key]?.integers)
        try #require(place.count == 4)
        let (height, width, channels) = (place[1], place[2], place[3])
        return Picture(
            width: width, height: height, channels: channels,
            bytes: Array(pixels[place[0]..<place[0] + height * width * channels]))
    }

    /// The thousand quantiles of a parameter.
    func quantiles(_ name: String) throws -> [Double] { try Self.array(name, archive).floats.map { Double($0) } }
}

extension PictureOperation {
    /// The operation of an entry; nil for a name that no operation has.
    init?(_ entry: JSON) {
        let value = entry["value"]?.doubleValue ?? 0
        switch entry["operation"]?.stringValue {
        case "rotate": self = .rotate(degrees: value)
        case "shearX": self = .shearX(value)
        case "shearY": self = .shearY(value)
        case "translateX": self = .translateX(Int(value))
        case "translateY": self = .translateY(Int(value))
        case "brightness": self = .brightness(value)
        case "contrast": self = .contrast(value)
        case "saturation": self = .saturation(value)
        case "sharpness": self = .sharpness(value)
        case "hue": self = .hue(turns: value)
        case "posterize": self = .posterize(bits: Int(value))
        case "solarize": self = .solarize(from: value)
        case "autocontrast": self = .autocontrast
        case "equalize": self = .equalize
        default: return nil
        }
    }

    /// The name and the strength that an entry has for the operation.
    var entry: (name: String, value: Double) {
        switch self {
        case .rotate(let degrees): ("rotate", degrees)
        case .shearX(let slope): ("shearX", slope)
        case .shearY(let slope): ("shearY", slope)
        case .translateX(let pixels): ("translateX", Double(pixels))
        case .translateY(let pixels): ("translateY", Double(pixels))
        case .brightness(let factor): ("brightness", factor)
        case .contrast(let factor): ("contrast", factor)
        case .saturation(let factor): ("saturation", factor)
        case .sharpness(let factor): ("sharpness", factor)
        case .hue(let turns): ("hue", turns)
        case .posterize(let bits): ("posterize", Double(bits))
        case .solarize(let threshold): ("solarize", threshold)
        case .autocontrast: ("autocontrast", 0)
        case .equalize: ("equalize", 0)
        }
    }
}
