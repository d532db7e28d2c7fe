// What quantization needs to know of a network, measured on somebody's images, and what it did to the features.

package import FinetuneFiles

/// The ranges of a network's values, and how near its features in int8 come to those in fp32.
package struct QuantizationRecord: Sendable, Equatable {
    /// By node: the largest magnitude that is told from larger ones.
    package var ranges: [String: Float]
    /// Images on which ranges were measured.
    package var images: Int
    /// The cosine similarity of an image's features in int8 and in fp32, both less their means over images: the median,
    /// and the least. Nil for less than two images.
    package var similarity: Similarity?

    package struct Similarity: Sendable, Equatable {
        package var median: Double
        package var least: Double
        /// Images that were compared.
        package var images: Int

        package init(median: Double, least: Double, images: Int) {
            (self.median, self.least, self.images) = (median, least, images)
        }
    }

    package init(ranges: [String: Float], images: Int, similarity: Similarity? = nil) {
        (self.ranges, self.images, self.similarity) = (ranges, images, similarity)
    }

    mutating func rename(_ names: [String: String]) {
        ranges = Dictionary(ranges.map { (names[$0.key] ?? $0.key, $0.value) }, uniquingKeysWith: max)
    }

    // MARK: As JSON

    package var json: JSON {
        [
            "images": .integer(images),
            "similarity": similarity.map(\.json) ?? .null,
            "ranges": rangesJSON,
        ]
    }

    /// The ranges alone, which decide what is computed.
    package var rangesJSON: JSON {
        .object(ranges.sorted { $0.key < $1.key }.map { .init($0.key, .number(Double($0.value))) })
    }

    /// - Returns: Nil where the JSON is none of `json`, or a range is no number from 0 up.
    package init?(json: JSON) {
        guard let images = json["images"]?.intValue, let members = json["ranges"]?.members else { return nil }
        var ranges: [String: Float] = [:]
        for member in members {
            guard let range = member.value.doubleValue.map(Float.init), range.isFinite, range >= 0 else { return nil }
            ranges[member.key] = range
        }
        self.init(ranges: ranges, images: images, similarity: json["similarity"].flatMap(Similarity.init))
    }
}

extension QuantizationRecord.Similarity {
    package var json: JSON { ["median": .number(median), "least": .number(least), "images": .integer(images)] }

    fileprivate init?(json: JSON) {
        guard let median = json["median"]?.doubleValue, let least = json["least"]?.doubleValue,
            let images = json["images"]?.intValue
        else { return nil }
        self.init(median: median, least: least, images: images)
    }
}
