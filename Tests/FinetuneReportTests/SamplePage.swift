// A page with every kind of block, as a run of transfer learning would make it.

import FinetuneReport

enum SamplePage {
    /// What a folder of images may well be called.
    static let hostile = "<script>alert(1)</script>"

    static func report(pictures: [[UInt8]] = [], hostile: String = hostile) -> Report {
        Report(
            title: "Transfer learning on flowers",
            subtitle: "ResNet-50 of Keras, 3 670 images of 5 classes, learning from stage4 on",
            sections: [
                overview, learning, classes(hostile), calibration, looks(pictures, hostile), plan, compared,
                findings(hostile), manyClasses, reproduction(hostile),
            ])
    }

    private static let overview = Report.Section(
        "In short",
        [
            .advice(
                "The network tells the five flowers apart in 84 of 100 images. More images of roses would help most: a quarter of them is taken for tulips."
            ),
            .figures([
                .init("Accuracy", "84.3 %", detail: "95 % interval 77.7 to 89.2, 153 images"),
                .init("Macro-F1", "0.833", detail: "the mean over classes"),
                .init("Log-loss", "0.509", detail: "0.471 after calibration"),
                .init("Time", "4 min 12 s", detail: "of which 96 s for features"),
            ]),
            .text(
                "The scores are those of images that neither training nor any choice has seen.\n\nThe interval is what chance alone would move the accuracy by on other images of the same kind."
            ),
        ])

    private static func falling(_ start: Double, _ end: Double, wobble: Double) -> [(x: Double, y: Double)] {
        var (value, phase) = (start, 0.7)
        return (1...20).map { epoch in
            value += (end - value) * 0.22
            phase = (phase * 3.9 * (1 - phase))
            return (Double(epoch), value + (phase - 0.5) * wobble)
        }
    }

    private static func rates(_ highest: Double) -> [(x: Double, y: Double)] {
        (1...20).map { epoch in
            let x = Double(epoch)
            return (x, highest * (x < 4 ? x / 3 : (21 - x) / 17))
        }
    }

    private static var learning: Report.Section {
        let accuracy = falling(0.2, 0.845, wobble: 0.03)
        let band = accuracy.map { Report.LineChart.Span(x: $0.x, low: $0.y - 0.06, high: min(1, $0.y + 0.05)) }
        return Report.Section(
            "How it learned", note: "Each epoch goes once through 2 396 images.",
            [
                .lines(
                    .init(
                        title: "Log-loss", xLabel: "epoch", yLabel: "log-loss",
                        series: [
                            .init("training", falling(2.2, 0.31, wobble: 0.06)),
                            .init("validation", falling(2.1, 0.52, wobble: 0.12), marks: true),
                        ], marker: .init(x: 17, label: "best epoch: 17"))),
                .lines(
                    .init(
                        title: "Accuracy", xLabel: "epoch", yLabel: "share of right predictions",
                        series: [
                            .init("training", falling(0.2, 0.93, wobble: 0.02)),
                            .init("validation", accuracy, band: band, marks: true),
                        ], yUnit: .percent, marker: .init(x: 17, label: "best epoch: 17"))),
                .text("The learning rate falls along a cosine, after three epochs of warm-up."),
                .lines(
                    .init(
                        title: "Learning rate", xLabel: "epoch", yLabel: "learning rate",
                        series: [.init("head", rates(1e-3)), .init("stage4", rates(3e-4))])),
            ])
    }

    private static func classes(_ hostile: String) -> Report.Section {
        let names = ["daisy", "dandelion", "roses", hostile, "tulips & \"lilies\" of the valley"]
        let counts = [[28, 2, 0, 0, 1], [1, 33, 0, 1, 0], [2, 0, 19, 0, 7], [0, 1, 0, 30, 1], [0, 0, 4, 1, 22]]
        let rows = names.indices.map { k -> [Report.Table.Cell] in
            let support = counts[k].reduce(0, +)
            let predicted = counts.reduce(0) { $0 + $1[k] }
            let (recall, precision) = (Double(counts[k][k]) / Double(support), Double(counts[k][k]) / Double(predicted))
            return [
                .init(names[k], emphasis: k == 2), .init("\(support)"),
                .init(Report.percent(precision), bar: precision),
                .init(Report.percent(recall), bar: recall, emphasis: k == 2),
                .init(Report.number(2 * recall * precision / (recall + precision), places: 3)),
            ]
        }
        return Report.Section(
            "Class by class", note: "Roses are found least often.",
            [
                .table(
                    .init(
                        columns: [
                            .init("Class"), .init("Images", isNumber: true), .init("Precision", isNumber: true),
                            .init("Recall", isNumber: true), .init("F1", isNumber: true),
                        ], rows: rows)),
                .matrix(.init(classes: names, counts: counts)),
            ])
    }

    private static var calibration: Report.Section {
        let counts = [0, 0, 3, 5, 9, 14, 16, 22, 31, 53]
        func bins(_ gap: Double) -> [Report.ReliabilityBin] {
            counts.enumerated().map { index, count in
                let middle = Double(index) / 10 + 0.05
                return .init(
                    lower: Double(index) / 10, upper: Double(index + 1) / 10, count: count,
                    confidence: count == 0 ? .nan : middle,
                    accuracy: count == 0 ? .nan : max(0, middle - gap + (index % 2 == 0 ? 0.03 : -0.02)))
            }
        }
        return Report.Section(
            "How far to trust a probability",
            note: "Of predictions that are 80 % sure, 80 % should be right. Below the dotted line a model is too sure.",
            [.reliability(bins(0.14), calibrated: bins(0.01))])
    }

    private static func looks(_ pictures: [[UInt8]], _ hostile: String) -> Report.Section {
        let names = ["roses/0412.jpg", "tulips/0077.jpg", "\(hostile)/0001.jpg", "daisy/5547758_eea9edfd54_n.jpg"]
        let cards = names.indices.map { index in
            Report.Thumbnail(
                title: names[index], image: pictures.isEmpty ? [1, 2, 3] : pictures[index % pictures.count],
                overlay: index < 2 && pictures.count > 1 ? pictures[(index + 1) % pictures.count] : nil,
                lines: ["is roses, taken for \(index == 2 ? hostile : "tulips")", "97.1 % sure"])
        }
        return Report.Section(
            "Surest mistakes", note: "Wrong predictions, the surest first. Some may be labelled wrongly.",
            [.gallery(cards)])
    }

    private static let plan = Report.Section(
        "Trained layers",
        [
            .plan([
                .init(stage: "stem", parameters: 9536, learns: false, rateFactor: 0, normalization: "frozen"),
                .init(stage: "stage1", parameters: 215_808, learns: false, rateFactor: 0, normalization: "frozen"),
                .init(stage: "stage2", parameters: 1_219_584, learns: false, rateFactor: 0, normalization: "frozen"),
                .init(stage: "stage3", parameters: 7_098_368, learns: false, rateFactor: 0, normalization: "frozen"),
                .init(stage: "stage4", parameters: 14_964_736, learns: true, rateFactor: 0.3, normalization: "frozen"),
                .init(stage: "avgpool", parameters: 0, learns: false),
                .init(stage: "head", parameters: 10_245, learns: true, rateFactor: 1),
            ])
        ])

    private static let compared = Report.Section(
        "Accuracy against cost",
        [
            .scatter(
                .init(
                    title: "Strategies", xLabel: "seconds", yLabel: "accuracy",
                    points: [
                        .init("logistic", x: 22, y: 0.815, interval: 0.76...0.86, isRecommended: true),
                        .init("ridge", x: 19, y: 0.792, interval: 0.73...0.84),
                        .init("mlp:512", x: 41, y: 0.81, interval: 0.75...0.86),
                        .init("fine-tune stage4", x: 252, y: 0.843, interval: 0.777...0.892),
                        .init("lp-ft stage4", x: 261, y: 0.846, interval: 0.78...0.893),
                        .init("gradual", x: 930, y: 0.851, interval: 0.79...0.90),
                        .init("from nothing", x: 2800, y: 0.61, interval: 0.54...0.68),
                        .init("diverged", x: 100, y: .nan),
                    ], xIsLogarithmic: true))
        ])

    private static func findings(_ hostile: String) -> Report.Section {
        Report.Section(
            "About the data",
            [
                .findings([
                    .init(
                        kind: "copies across the split", severity: .error,
                        detail: "3 pictures are in training and validation: the scores above are too good.",
                        paths: ["roses/0412.jpg", "roses/0412 (1).jpg", "\(hostile)/x.jpg"]),
                    .init(
                        kind: "nearly the same picture", severity: .warning, detail: "12 pictures have a near copy.",
                        paths: (1...12).map { "tulips/img_\($0).jpg" }),
                    .init(kind: "few images", severity: .note, detail: "roses have 28 validation images & no more."),
                ])
            ])
    }

    private static var manyClasses: Report.Section {
        let count = 200
        var state: UInt64 = 42
        func draw(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
        var counts = [[Int]](repeating: [Int](repeating: 0, count: count), count: count)
        for row in 0..<count {
            counts[row][row] = 20 + draw(30)
            for _ in 0..<6 { counts[row][(row / 20 * 20 + draw(20)) % count] += 1 + draw(4) }
            for _ in 0..<2 { counts[row][draw(count)] += 1 }
        }
        return Report.Section(
            "Two hundred classes", [.matrix(.init(classes: (1...count).map { "species \($0)" }, counts: counts))])
    }

    private static func reproduction(_ hostile: String) -> Report.Section {
        Report.Section(
            "To do it again",
            [
                .code(
                    "finetune --base resnet50.h5 --data '/data/\(hostile)' --unfreeze stage4 --optimizer adamw --lr 0.001 --stage-lr-decay 0.3 --epochs 20 --seed 7"
                ),
                .keyValues([
                    ("finetune", "0.9.0"), ("base", "resnet50.h5"),
                    ("base, XXH3", "b3b0ac1f57c1d2a4e9f00d1234567890b3b0ac1f57c1d2a4e9f00d1234567890"),
                    ("data", hostile),
                ]),
            ])
    }
}
