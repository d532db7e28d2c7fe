// Which folder names and table values stand for a split: `Train`, `training_set`, `seg_test`, `valid`, `dev` …

/// A name that contains the word for a split.
struct SplitName: Equatable {
    let part: Split.Part
    /// The other words of the name, such as `seg` of `seg_train`; `set`, `data`, `images` and the like are none.
    let rest: [String]

    /// Nil for a name that stands for no split.
    init?(_ name: String) {
        let words = Self.words(of: name)
        if let part = Self.part(of: words.joined()) {
            (self.part, rest) = (part, [])
            return
        }
        var parts: Set<Split.Part> = []
        var rest: [String] = []
        for word in words {
            if let part = Self.part(of: word) {
                parts.insert(part)
            } else if !Self.fillers.contains(word) {
                rest.append(word)
            }
        }
        // What learns and validates, as `train_val`, is there to be learnt from.
        if parts == [.train, .validation] { parts = [.train] }
        guard let part = parts.first, parts.count == 1 else { return nil }
        (self.part, self.rest) = (part, rest)
    }

    /// Whether a name says that its images have no labels, as that of images to predict.
    static func isUnlabelled(_ name: String) -> Bool { words(of: name).contains(where: unlabelledWords.contains) }

    /// Without `holdout`, which some take for validation and some for a test.
    private static let names: [(part: Split.Part, words: [String])] = [
        (.train, ["train", "training", "trn", "trainval", "trainvalid", "traindev"]),
        (
            .validation,
            [
                "val", "valid", "validation", "validate", "validating", "dev", "devel", "development", "eval",
                "evaluation",
            ]
        ),
        (.test, ["test", "tests", "testing", "tst"]),
    ]

    private static let fillers: Set<String> = [
        "set", "sets", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures", "pics", "photo",
        "photos", "folder", "dir", "split", "subset", "sample", "samples", "public", "private", "jpg", "jpeg", "png",
        "final", "new", "v", "x", "fold", "stage", "phase", "part",
    ]

    private static let unlabelledWords: Set<String> = [
        "pred", "predict", "prediction", "predictions", "unlabeled", "unlabelled", "unlabel", "unsup", "unsupervised",
        "inference", "submission", "sample", "samples", "demo",
    ]

    /// The split that a single word stands for, also where another is written onto it, as in `trainset`.
    private static func part(of word: String) -> Split.Part? {
        for (part, words) in names {
            for known in words {
                if word == known { return part }
                if word.hasPrefix(known), fillers.contains(String(word.dropFirst(known.count))) { return part }
                if word.hasSuffix(known), fillers.contains(String(word.dropLast(known.count))) { return part }
            }
        }
        return nil
    }

    /// A name's words in small letters, without digits: parts between other characters, and of `PublicTest`.
    private static func words(of name: String) -> [String] {
        var words: [String] = []
        var word = ""
        var wasLower = false
        func finish() {
            if !word.isEmpty { words.append(word.lowercased()) }
            word = ""
        }
        for character in name {
            guard character.isLetter else {
                finish()
                wasLower = false
                continue
            }
            if wasLower, character.isUppercase { finish() }
            word.append(character)
            wasLower = character.isLowercase
        }
        finish()
        return words
    }
}
