// What a look at a data set shows: copies, leaks, labels that contradict each other, classes and sizes that cost accuracy.

internal import FinetuneFiles

/// The findings about images that were read and divided.
package struct DataAudit: Sendable {
    /// What is known of one image.
    package struct Image: Sendable {
        package let name: String
        /// Nil where it is unknown.
        package let label: Int?
        package let group: String?
        /// What is never divided: the images of a group, or the copies of a picture, by any name; nil if it is unknown.
        package let unit: String?
        /// Who it serves; nil where nothing was divided.
        package let part: Split.Part?
        /// Nil for what is no picture.
        package let facts: Fingerprint.Facts?

        package init(
            name: String, label: Int?, group: String?, unit: String? = nil, part: Split.Part?, facts: Fingerprint.Facts?
        ) {
            (self.name, self.label, self.group, self.part) = (name, label, group, part)
            (self.unit, self.facts) = (unit, facts)
        }

        var size: (width: Int, height: Int)? { facts?.size }
        var format: PictureFormat? { facts?.format }
    }

    package private(set) var findings: [Finding] = []
    let images: [Image]
    private let classes: [String]

    /// - Parameters:
    ///   - images: Those that can be read.
    ///   - copies: What is a copy of what, by place in `images`.
    ///   - ownParts: The splits that the data set itself has.
    ///   - inputSize: The network's input in pixels; nil where it does not matter.
    ///   - depth: How many bits of 16-bit pictures count.
    package init(
        _ images: [Image], classes: [String], copies: CopySearch, ownParts: [Split.Part],
        inputSize: (width: Int, height: Int)?, depth: Int = 16
    ) {
        self.images = images
        self.classes = classes
        findTypes()
        findCopies(copies)
        findTornGroups()
        if !classes.isEmpty { findClasses(ownParts) }
        if let inputSize { findSmallImages(inputSize) }
        findOddShapes()
        findUnusedRanges(depth)
    }

    mutating func add(_ kind: Finding.Kind, _ places: [Int], _ detail: String, surplus: [Int] = []) {
        findings.append(Finding(kind, places.map { images[$0].name }, detail, surplus: surplus.map { images[$0].name }))
    }

    /// A number with its noun.
    func several(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }

    // MARK: Files

    private mutating func findTypes() {
        for (place, image) in images.enumerated() {
            let ending = Path.fileExtension(of: image.name)
            guard let format = image.format, let claimed = PictureFormat(ending: ending), claimed != format else {
                continue
            }
            add(.mistyped, [place], "'\(image.name)' is a \(format.name); its name says \(claimed.name).")
        }
    }

    // MARK: Copies

    private mutating func findCopies(_ copies: CopySearch) {
        for places in copies.exact { report(places, .exactDuplicates, "have the same content") }
        guard !copies.areAllAlike else {
            let alike = Set(copies.near.flatMap { [$0.first, $0.second] }).sorted()
            add(
                .alike, alike,
                "\(alike.count) of \(images.count) images are like another one, as with a camera that never moves: here likeness does not make a copy. If images of one series belong together, name the series with --group-by."
            )
            return
        }
        // What hangs together through confirmed pairs is one finding.
        var sets = DisjointSets(images.count)
        for pair in copies.near { sets.join(pair.first, pair.second) }
        var content: [Int: [Int]] = [:]
        for places in copies.exact { content[places[0]] = places }
        for places in sets.several() {
            let pairs = copies.near.filter { places.contains($0.first) }
            let least = pairs.map(\.correlation).min() ?? 1
            let mirrored = pairs.contains(where: \.isMirrored) ? ", one of them mirrored" : ""
            let all = places.flatMap { content[$0] ?? [$0] }.sorted()
            report(
                all, .nearDuplicates,
                "show the same (correlation \((least * 1000).rounded(.down) / 1000)\(mirrored))", named: places)
        }
    }

    /// One set of copies: what it is, and what it does to labels and splits.
    ///
    /// - Parameter named: Those whose likeness is the finding; exact copies of them are another.
    private mutating func report(_ places: [Int], _ kind: Finding.Kind, _ what: String, named: [Int]? = nil) {
        let shown = named ?? places
        let parts = Split.Part.allCases.filter { part in places.contains { images[$0].part == part } }
        func name(_ place: Int) -> String {
            // Two data sets may have files of one name.
            let part = parts.count > 1 ? images[place].part.map { " (\($0.rawValue))" } ?? "" : ""
            return "'\(images[place].name)'\(part)"
        }
        let names = shown.prefix(3).map(name).joined(separator: ", ") + (shown.count > 3 ? ", …" : "")
        if let first = parts.first, parts.count > 1 {
            let splits = (parts.count == 2 ? "both " : "") + parts.map(\.rawValue).joined(separator: " and ")
            let isExact = kind == .exactDuplicates
            let harm =
                first == .train
                ? "so scores are inflated" : "so the test score is partly that of images that chose the model"
            add(
                .leak, shown,
                "\(names) \(isExact ? "are identical but" : "\(what) but are") in \(splits), \(harm).",
                surplus: shown.filter { images[$0].part == first })
        } else {
            add(kind, shown, "\(names) \(what).", surplus: Array(shown.dropFirst()))
        }
        let labels = Set(places.compactMap { images[$0].label })
        guard labels.count > 1 else { return }
        let words = labels.sorted().map { "'\(classes[$0])'" }.joined(separator: " and ")
        add(.twoLabels, shown, "\(names) \(what) and are labelled \(words).", surplus: shown)
    }

    private mutating func findTornGroups() {
        var members: [String: [Int]] = [:]
        for (place, image) in images.enumerated() {
            if let group = image.group { members[group, default: []].append(place) }
        }
        for (group, places) in members.sorted(by: { $0.key < $1.key }) {
            let parts = Split.Part.allCases.filter { part in places.contains { images[$0].part == part } }
            guard parts.count > 1 else { continue }
            add(
                .tornGroup, places,
                "The group '\(group)' is in more than one split (\(parts.map(\.rawValue).joined(separator: ", "))), so scores are inflated."
            )
        }
    }

    // MARK: Classes

    private mutating func findClasses(_ ownParts: [Split.Part]) {
        let counts = count { _ in true }
        for part in ownParts {
            let held = count { $0.part == part }
            for (label, name) in classes.enumerated() where held[label] == 0 {
                findings.append(
                    Finding(
                        .missingClass, [], "The class '\(name)' has no image in the split '\(part.rawValue)'."))
            }
        }
        if ownParts.isEmpty {
            for (label, name) in classes.enumerated() where counts[label] == 0 {
                findings.append(Finding(.missingClass, [], "The class '\(name)' has no image that can be read."))
            }
        }
        var ofClass = [[Image]](repeating: [], count: classes.count)
        for image in images { if let label = image.label { ofClass[label].append(image) } }
        for (label, (name, members)) in zip(classes, ofClass).enumerated() {
            if let unit = members.first?.unit, members.count > 1, ownParts.isEmpty,
                members.allSatisfy({ $0.unit == unit })
            {
                let what = members[0].group.map { "are in one group, '\($0)'," } ?? "are copies of one picture,"
                findings.append(
                    Finding(
                        .smallClass, [],
                        "All \(members.count) images of the class '\(name)' \(what) and stay in one split. \(fate(label)) Add other images of it."
                    ))
            } else if (1..<Self.fewImages).contains(members.count) {
                let next = members.count == 1 ? fate(label) : "\(uses(members))Its scores say little."
                findings.append(
                    Finding(
                        .smallClass, [],
                        "The class '\(name)' has \(several(members.count, "image")). \(next) Add images of it."))
            }
        }
        let held = counts.filter { $0 > 0 }
        guard let most = counts.max(), let least = held.min(), most >= Self.imbalance * least,
            let common = counts.firstIndex(of: most), let rare = counts.firstIndex(of: least)
        else { return }
        findings.append(
            Finding(
                .imbalance, [],
                "'\(classes[common])' has \(several(most, "image")), '\(classes[rare])' \(least): accuracy says little about the rare classes. Look at macro-F1, and try --class-weights balanced."
            ))
    }

    /// What becomes of a class whose images are in one split.
    private func fate(_ label: Int) -> String {
        switch images.first(where: { $0.label == label })?.part {
        case .train?: "The network learns from it, so that no image of the class is scored."
        case let part?: "It is in the split '\(part.rawValue)', so that the network does not learn the class."
        case nil: "A class needs two, one to learn from and one to be scored."
        }
    }

    /// How many images each split has, as a sentence and a blank; empty if nothing was divided.
    private func uses(_ members: [Image]) -> String {
        let counts = Split.Part.allCases.compactMap { part in
            let count = members.count { $0.part == part }
            return count > 0 ? "\(count) in \(part.rawValue)" : nil
        }
        return counts.isEmpty ? "" : counts.joined(separator: ", ") + ". "
    }

    private func count(_ isCounted: (Image) -> Bool) -> [Int] {
        var counts = [Int](repeating: 0, count: classes.count)
        for image in images where isCounted(image) { if let label = image.label { counts[label] += 1 } }
        return counts
    }

    // MARK: Sizes

    private mutating func findSmallImages(_ input: (width: Int, height: Int)) {
        let places = images.indices.filter { place in
            images[place].size.map { min($0.width, $0.height) < min(input.width, input.height) } ?? false
        }
        guard let first = places.first, let size = images[first].size else { return }
        add(
            .smallImage, places,
            "\(several(places.count, "image")) of \(images.count) are smaller than the network's input of \(input.width) × \(input.height) pixels, such as '\(images[first].name)' with \(size.width) × \(size.height): they are enlarged."
        )
    }

    private mutating func findOddShapes() {
        func ratio(_ size: (width: Int, height: Int)) -> Double {
            Double(max(size.width, size.height)) / Double(max(1, min(size.width, size.height)))
        }
        let ratios = images.compactMap { $0.size.map(ratio) }.sorted()
        guard !ratios.isEmpty else { return }
        let usual = ratios[ratios.count / 2]
        let sides = images.compactMap { $0.size.map { min($0.width, $0.height) } }.sorted()
        let usualSide = sides[sides.count / 2]
        for (place, image) in images.enumerated() {
            guard let size = image.size else { continue }
            if ratio(size) >= Self.oddRatio, ratio(size) >= 2 * usual {
                add(
                    .oddShape, [place],
                    "'\(image.name)' is \(size.width) × \(size.height): a crop shows little of it. Compare --fit pad.")
            } else if min(size.width, size.height) < Self.leastSide, 4 * min(size.width, size.height) <= usualSide {
                add(.oddShape, [place], "'\(image.name)' is only \(size.width) × \(size.height) pixels.")
            }
        }
    }

    /// Fewer images than this cannot be in every split and every fold.
    private static let fewImages = 4
    /// The most common class has as many times the images of the rarest.
    private static let imbalance = 5
    /// The long side is as many times the short one.
    private static let oddRatio = 4.0
    private static let leastSide = 16
}
