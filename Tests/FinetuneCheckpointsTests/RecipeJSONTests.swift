// A recipe as JSON: what is written, what is read, and what is refused.

import FinetuneFiles
import FinetuneModels
import Testing

@testable import FinetuneCheckpoints

@Suite("A recipe as JSON")
struct RecipeJSONTests {
    @Test("has no key of the rarer settings while they have their defaults")
    func defaults() {
        let recipe = InputRecipe(height: 224, width: 192, pixels: .unit, resizeRatio: 2)
        #expect(
            recipe.json.members?.map(\.key) == [
                "size", "channels", "order", "scale", "mean", "std", "interpolation", "fit", "crop", "exif",
            ])
    }

    static let geometries: [@Sendable (inout InputRecipe) -> Void] = [
        { _ in }, { $0.antialias = false }, { $0.rules = .keras }, { $0.fill = [124] }, { $0.fill = [124, 116, 104] },
        { $0.interpolation = .lanczos }, { $0.fit = .unscaled }, { $0.resizeRatio = 0.5 },
        { ($0.antialias, $0.rules, $0.fill) = (false, .timm, [255, 0, 255]) },
    ]

    @Test("is read as it was written", arguments: geometries.indices)
    func reads(index: Int) throws {
        var recipe = InputRecipe(height: 224, width: 192, pixels: .torch)
        Self.geometries[index](&recipe)
        #expect(try InputRecipe(json: JSON(parsing: recipe.json.text)) == recipe)
        // What a file leaves out is the base's.
        #expect(try InputRecipe(json: JSON(parsing: "{}"), base: recipe) == recipe)
    }

    @Test("for one channel takes one level of a border in color")
    func grayBorder() throws {
        let base = InputRecipe(height: 8, width: 8, pixels: .torch, fill: [7, 8, 9])
        #expect(try InputRecipe(json: JSON(parsing: #"{"channels": 1}"#), base: base).fill == [7])
    }

    static let refused = [
        ("crop", "4.5"), ("crop", "0.01"), ("interpolation", "\"area\""), ("fit", "\"stretch\""),
        ("antialias", "1"), ("antialias", "\"no\""), ("rules", "\"pytorch\""), ("rules", "null"),
        ("fill", "256"), ("fill", "-1"), ("fill", "0.5"), ("fill", "[1, 2]"), ("fill", "[1, \"2\", 3, 4]"),
        ("fill", "\"black\""), ("fill", "[]"), ("border", "0"),
    ]

    @Test("is refused with the name of the key that does not fit", arguments: refused)
    func refuses(key: String, value: String) throws {
        let json = try JSON(parsing: "{\"\(key)\": \(value)}")
        let error = #expect(throws: JSONDecodingError.self) { try InputRecipe(json: json) }
        #expect(error?.description.contains("'\(key)'") == true)
    }

    @Test("With another fit, a recipe follows the standard rules; with the same fit it stays")
    func fits() {
        let recipe = InputRecipe(height: 8, width: 8, pixels: .torch, fit: .crop, resizeRatio: 2, rules: .timm)
        #expect(recipe.with(.crop) == recipe)
        #expect(recipe.with(.pad).rules == .standard && recipe.with(.pad).fit == .pad)
    }
}
