// One training of a comparison, kept on disk as soon as it is over, so that a comparison that was killed goes on.

internal import FinetuneEvaluation
internal import FinetuneFiles

/// What one strategy made of one division.
struct ComparisonPart: Sendable {
    /// Of the images that are scored.
    let probabilities: [[Double]]
    let labels: [Int]
    let images: [String]
    /// By which logits were divided; chosen by other images.
    let temperature: Double
    let time: ProcessTime
    let peakMegabytes: Double
    let trainableParameters: Int
    let trainImages: Int
    let epochs: Int
    /// The best epoch, 0 for the start; nil if nothing was trained in epochs, or nothing validated.
    let bestEpoch: Int?

    func evaluation(_ classes: [String]) -> Evaluation {
        Evaluation(probabilities: probabilities, labels: labels, classes: classes)
    }

    // MARK: On disk

    /// - Parameter key: The hash of all that the result depends on.
    func write(to path: String, key: ContentHash) throws {
        let json: JSON = [
            "key": .string(key.text), "images": JSON(images), "labels": .array(labels.map { .integer($0) }),
            "temperature": .number(temperature), "probabilities": .array(probabilities.map { JSON($0) }),
            "seconds": .number(time.seconds),
            "cpu_seconds": .number(time.processorSeconds), "peak_rss_mb": .number(peakMegabytes),
            "trainable_parameters": .integer(trainableParameters), "train_images": .integer(trainImages),
            "epochs": .integer(epochs), "best_epoch": bestEpoch.map { .integer($0) } ?? .null,
        ]
        try AtomicFile.write(json.withChecksum.text, to: path)
    }
}

extension ComparisonPart {
    /// Reads what an earlier start of the same comparison left; nil where there is nothing, or nothing that fits.
    init?(_ path: String, key: ContentHash, classes: Int) {
        guard FileSystem.kind(of: path) == .file, let bytes = try? FileSystem.read(path),
            let json = (try? JSON(parsing: bytes))?.checked, json["key"]?.stringValue == key.text,
            let images = json["images"]?.arrayValue?.compactMap(\.stringValue),
            let labels = json["labels"]?.arrayValue?.compactMap(\.intValue),
            let rows = json["probabilities"]?.arrayValue?.map({ $0.arrayValue?.compactMap(\.doubleValue) ?? [] }),
            images.count == labels.count, rows.count == labels.count, rows.allSatisfy({ $0.count == classes }),
            labels.allSatisfy((0..<classes).contains), let temperature = json["temperature"]?.doubleValue,
            temperature > 0, let seconds = json["seconds"]?.doubleValue,
            let processor = json["cpu_seconds"]?.doubleValue, let peak = json["peak_rss_mb"]?.doubleValue,
            let parameters = json["trainable_parameters"]?.intValue, let learned = json["train_images"]?.intValue,
            let epochs = json["epochs"]?.intValue
        else { return nil }
        self.init(
            probabilities: rows, labels: labels, images: images, temperature: temperature,
            time: ProcessTime(seconds: seconds, processorSeconds: processor), peakMegabytes: peak,
            trainableParameters: parameters, trainImages: learned, epochs: epochs,
            bestEpoch: json["best_epoch"]?.intValue)
    }
}
