// What blocks are made of, the charts aside.

extension Report {
    /// A big number: `Accuracy`, `84.3 %`, `95 % interval 77.7 to 89.2, 153 images`.
    package struct Figure: Sendable {
        package var label: String
        package var value: String
        package var detail: String?

        package init(_ label: String, _ value: String, detail: String? = nil) {
            self.label = label
            self.value = value
            self.detail = detail
        }
    }

    /// Rows under titled columns.
    package struct Table: Sendable {
        package struct Column: Sendable {
            package var title: String
            /// Numbers stand at the right, below each other.
            package var isNumber: Bool

            package init(_ title: String, isNumber: Bool = false) {
                self.title = title
                self.isNumber = isNumber
            }
        }

        package struct Cell: Sendable {
            package var text: String
            /// A share, 0…1, drawn as a bar behind the text.
            package var bar: Double?
            package var emphasis: Bool

            package init(_ text: String, bar: Double? = nil, emphasis: Bool = false) {
                self.text = text
                self.bar = bar
                self.emphasis = emphasis
            }
        }

        package var columns: [Column]
        /// The first cell of each names its row. Missing cells are empty, superfluous ones are left out.
        package var rows: [[Cell]]
        package var caption: String?

        package init(columns: [Column], rows: [[Cell]], caption: String? = nil) {
            self.columns = columns
            self.rows = rows
            self.caption = caption
        }
    }

    /// A stage of a network and what a training may do to it.
    package struct PlanRow: Sendable {
        package var stage: String
        package var parameters: Int
        package var learns: Bool
        /// The factor of the learning rate; nil where the rate has none.
        package var rateFactor: Double?
        /// What its batch norms do; nil where it has none.
        package var normalization: String?

        package init(
            stage: String, parameters: Int, learns: Bool, rateFactor: Double? = nil, normalization: String? = nil
        ) {
            self.stage = stage
            self.parameters = parameters
            self.learns = learns
            self.rateFactor = rateFactor
            self.normalization = normalization
        }
    }

    /// A picture with its caption.
    package struct Thumbnail: Sendable {
        package var title: String
        /// A whole JPEG or PNG file.
        package var image: [UInt8]
        /// Another JPEG or PNG file, shown beside it: a heat map laid over the picture.
        package var overlay: [UInt8]?
        /// Lines of the caption.
        package var lines: [String]

        package init(title: String, image: [UInt8], overlay: [UInt8]? = nil, lines: [String] = []) {
            self.title = title
            self.image = image
            self.overlay = overlay
            self.lines = lines
        }
    }

    /// Something odd about data or a run.
    package struct Finding: Sendable {
        package enum Severity: String, Sendable {
            case note, warning, error
        }

        /// In a word or two: `copies across the split`.
        package var kind: String
        package var severity: Severity
        package var detail: String
        /// The images that it concerns.
        package var paths: [String]

        package init(kind: String, severity: Severity, detail: String, paths: [String] = []) {
            self.kind = kind
            self.severity = severity
            self.detail = detail
            self.paths = paths
        }
    }
}
